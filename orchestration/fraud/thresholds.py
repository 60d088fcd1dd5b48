"""Choose the decision thresholds by what people can handle, or by what decisions cost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from config.errors import UserError
from config.settings import Settings
from domain.fraud.policy import USUAL, Costs, Targets, Thresholds
from orchestration.training.frame import Floats, Frame

AMOUNT = "amount"


def aim(configured: Settings, targets: Targets = USUAL) -> Targets | Costs:
    """Return what thresholds are chosen by, as the settings say: `targets` or their costs."""
    if configured.fraud_thresholds == "targets":
        return targets
    return costs(configured)


def costs(configured: Settings) -> Costs:
    """Return what decisions cost, as the settings say."""
    return Costs(
        configured.fraud_cost_review, configured.fraud_cost_blocked, configured.fraud_cost_passed
    )


def aimed(scores: Floats, frame: Frame, aim: Targets | Costs) -> Thresholds:
    """Return the thresholds for the scores of a frame, by targets or by costs.

    Raise UserError if costs are given and no feature is the amount.
    """
    if isinstance(aim, Targets):
        return choose(scores, frame.y, aim)
    if AMOUNT not in frame.features:
        raise UserError(f"thresholds by cost need the feature {AMOUNT}, which the model lacks")
    return cheapest(scores, frame.y, frame.x[:, frame.features.index(AMOUNT)], aim)


def choose(scores: Floats, y: npt.NDArray[np.bool_], targets: Targets) -> Thresholds:
    """Return the lowest thresholds that meet the targets: they catch the most.

    `scores` and `y` have one value for each row of validation data, which the model was not
    trained on. Where no threshold meets its target it is 1.0, so that only a score of 1 reaches it.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(y[order])
    count = np.arange(1, len(ranked) + 1)
    cuts = _cuts(ranked)
    blocked = _last(cuts & (hits / count >= targets.block_precision))
    more, frauds = count - blocked, hits - (hits[blocked - 1] if blocked else 0)
    bearable = (
        (more > 0)
        & (more <= len(ranked) * targets.review_rate)
        & (frauds >= targets.review_precision * more)
    )
    flagged = max(_last(cuts & bearable), blocked)
    return Thresholds(review=_from(ranked, flagged), block=_from(ranked, blocked))


def cheapest(scores: Floats, y: npt.NDArray[np.bool_], amounts: Floats, costs: Costs) -> Thresholds:
    """Return the thresholds at which the decisions on validation data cost the least in all.

    Arguments are as those of `choose`, with each payment's amount. Of equally cheap ones those that
    stop the fewest payments are taken.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, fraud = scores[order], y[order]
    lost = costs.passed * np.where(fraud, np.maximum(amounts[order], 0.0), 0.0)
    # With the best b blocked, the next ones up to r reviewed and the rest approved, the total is
    # blocking[b] + reviewing[r]: each is a sum of its own, and the best b of every r is a minimum
    # so far.
    blocking = _sums(np.where(fraud, 0.0, costs.blocked) - costs.review)
    reviewing = _sums(costs.review - lost)
    places = np.append(0, np.flatnonzero(_cuts(ranked)) + 1)
    blocking, reviewing = blocking[places], reviewing[places]
    flagged = int(np.argmin(np.minimum.accumulate(blocking) + reviewing))
    blocked = int(np.argmin(blocking[: flagged + 1]))
    return Thresholds(
        review=_from(ranked, int(places[flagged])), block=_from(ranked, int(places[blocked]))
    )


def _sums(values: Floats) -> Floats:
    """Return the sums of the first 0, 1, 2, … values."""
    return np.append(0.0, np.cumsum(values))


def _cuts(ranked: Floats) -> npt.NDArray[np.bool_]:
    """Return where to cut: equal scores are decided alike, so only after the last of a run."""
    return np.append(ranked[1:] != ranked[:-1], True)


def _last(allowed: npt.NDArray[np.bool_]) -> int:
    """Return how many of the best-ranked to take: up to the last allowed place."""
    places = np.flatnonzero(allowed)
    return int(places[-1]) + 1 if len(places) else 0


def _from(ranked: Floats, count: int) -> float:
    return float(ranked[count - 1]) if count else 1.0

"""Choose the decision thresholds by what people can handle, not by the score's scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from domain.fraud.policy import Targets, Thresholds
from orchestration.training.frame import Floats


def choose(scores: Floats, y: npt.NDArray[np.bool_], targets: Targets) -> Thresholds:
    """Return the lowest thresholds that meet the targets: they catch the most.

    `scores` and `y` have one value for each row of validation data, which the model was not
    trained on. Where no threshold meets its target it is 1.0, so that only a score of 1 reaches it.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(y[order])
    count = np.arange(1, len(ranked) + 1)
    # Equal scores are decided alike, so only the last of a run of equals is a place to cut.
    cuts = np.append(ranked[1:] != ranked[:-1], True)
    blocked = _last(cuts & (hits / count >= targets.block_precision))
    more, frauds = count - blocked, hits - (hits[blocked - 1] if blocked else 0)
    bearable = (
        (more > 0)
        & (more <= len(ranked) * targets.review_rate)
        & (frauds >= targets.review_precision * more)
    )
    flagged = max(_last(cuts & bearable), blocked)
    return Thresholds(review=_from(ranked, flagged), block=_from(ranked, blocked))


def _last(allowed: npt.NDArray[np.bool_]) -> int:
    """Return how many of the best-ranked to take: up to the last allowed place."""
    places = np.flatnonzero(allowed)
    return int(places[-1]) + 1 if len(places) else 0


def _from(ranked: Floats, count: int) -> float:
    return float(ranked[count - 1]) if count else 1.0

"""Where a score becomes a decision.

Chosen on validation data by what people can bear, not by the score's own scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from domain.fraud.policy import Thresholds
from orchestration.training.frame import Floats


@dataclass(frozen=True, slots=True)
class Targets:
    """What the decisions shall be worth.

    Of what is blocked, at least `block_precision` is fraud. Of the rest, people look at no more
    than `review_rate` of all payments, and at least `review_precision` of those is fraud.
    """

    block_precision: float = 0.9
    review_rate: float = 0.02
    review_precision: float = 0.15


def choose(scores: Floats, y: npt.NDArray[np.bool_], targets: Targets) -> Thresholds:
    """The lowest thresholds that meet the targets: they catch the most.

    Where none does, the decision is never made.

    `scores` and `y`: one a row, of validation data that the model was not trained on.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(y[order])
    count = np.arange(1, len(ranked) + 1)
    # Equal scores are decided alike: only the last of a run of equals is a place to cut.
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
    """How many of the best-ranked are taken when as many as allowed are."""
    places = np.flatnonzero(allowed)
    return int(places[-1]) + 1 if len(places) else 0


def _from(ranked: Floats, count: int) -> float:
    return float(ranked[count - 1]) if count else 1.0

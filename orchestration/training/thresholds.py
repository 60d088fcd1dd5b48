"""Where a score becomes a decision: chosen on validation data by what people can bear, not by the score's own scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestration.training.frame import Floats


@dataclass(frozen=True, slots=True)
class Targets:
    """Review: at most this share of payments, at least this share of fraud among them. Block: at least this share."""

    review_rate: float = 0.02
    review_precision: float = 0.3
    block_precision: float = 0.9


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores from which on a payment is reviewed, and from which on it is blocked; review <= block."""

    review: float
    block: float


def choose(scores: Floats, y: npt.NDArray[np.bool_], targets: Targets) -> Thresholds:
    """The lowest thresholds that meet the targets: they catch the most. Where none does, the decision is never made.

    `scores` and `y`: one a row, of validation data that the model was not trained on.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(y[order])
    count = np.arange(1, len(ranked) + 1)
    precision = hits / count
    # Equal scores are decided alike: only the last of a run of equals is a place to cut.
    cuts = np.append(ranked[1:] != ranked[:-1], True)
    block = _lowest(ranked, cuts & (precision >= targets.block_precision))
    bearable = (precision >= targets.review_precision) & (count <= max(1, int(len(ranked) * targets.review_rate)))
    return Thresholds(review=min(_lowest(ranked, cuts & bearable), block), block=block)


def _lowest(ranked: Floats, allowed: npt.NDArray[np.bool_]) -> float:
    places = np.flatnonzero(allowed)
    return float(ranked[places[-1]]) if len(places) else 1.0

"""Say how sure a difference between two models is, by a paired bootstrap over the same rows.

Rows of a customer, and days, are not independent of their like, so whole customers or whole days
are drawn, with replacement, and both models are measured on what was drawn. The interval is that of
the percentiles: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestration.training.frame import Floats, Frame, Ints
from orchestration.training.metrics import daily_card_precision

DRAWS, SEED, SURE = 400, 20, 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of the challenger less the champion's: `point` on all rows, the rest by draws.

    The difference lies between `low` and `high` in the share `sure` of the draws, each of as many
    `of` as there are `units`. NaN where nothing could be measured.
    """

    point: float
    low: float
    high: float
    of: str
    units: int
    draws: int
    sure: float = SURE

    @property
    def words(self) -> str:
        """Return the difference with its interval in words."""
        return (
            f"{self.point:+.4f}, {self.low:+.4f} to {self.high:+.4f} in {self.sure:.0%} of "
            f"{self.draws} draws of {self.units} {self.of}"
        )


def average_precision(
    frame: Frame, ours: Floats, theirs: Floats, draws: int = DRAWS, seed: int = SEED
) -> Difference:
    """Return the difference in average precision, by draws of customers.

    `ours` and `theirs` are the scores of the challenger and of the champion. A draw without any
    fraud says nothing and is left out.
    """
    _, codes = np.unique(frame.customer, return_inverse=True)
    units = int(codes.max()) + 1 if len(codes) else 0
    ranked = [_Ranked.of(scores, frame.y, codes) for scores in (ours, theirs)]

    def apart(weights: Floats) -> float:
        return ranked[0].average_precision(weights) - ranked[1].average_precision(weights)

    rng = np.random.default_rng(seed)
    found = [
        apart(np.bincount(rng.integers(0, units, units), minlength=units).astype(np.float64))
        for _ in range(draws if units else 0)
    ]
    return _difference(apart(np.ones(units)), np.array(found), "customers", units)


def card_precision(
    frame: Frame, ours: Floats, theirs: Floats, draws: int = DRAWS, seed: int = SEED
) -> Difference:
    """Return the difference in card precision at 100, a mean over days, by draws of days."""
    days = daily_card_precision(frame, ours) - daily_card_precision(frame, theirs)
    units = len(days)
    if not units:
        return _difference(np.nan, days, "days", units)
    places = np.random.default_rng(seed).integers(0, units, (draws, units))
    return _difference(float(days.mean()), days[places].mean(axis=1), "days", units)


def _difference(point: float, found: Floats, of: str, units: int) -> Difference:
    known = found[~np.isnan(found)]
    tail = (1 - SURE) / 2
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
    return Difference(point, float(low), float(high), of, units, len(known))


@dataclass(frozen=True, slots=True)
class _Ranked:
    """Rows by falling score; `ends` are the last places of rows of an equal score."""

    y: npt.NDArray[np.bool_]
    codes: Ints
    ends: Ints

    @classmethod
    def of(cls, scores: Floats, y: npt.NDArray[np.bool_], codes: Ints) -> _Ranked:
        order = np.argsort(-scores, kind="stable")
        falling = scores[order]
        ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(order) else order
        return cls(y[order], codes[order], ends)

    def average_precision(self, weights: Floats) -> float:
        """Return it with rows that count as often as their customer's weight says."""
        rows = weights[self.codes]
        hits = np.cumsum(np.where(self.y, rows, 0.0))[self.ends]
        every = np.cumsum(rows)[self.ends]
        if not len(hits) or not hits[-1]:
            return float("nan")
        steps = np.diff(hits, prepend=0.0)
        held = steps > 0
        return float(np.sum(steps[held] * hits[held] / every[held]) / hits[-1])

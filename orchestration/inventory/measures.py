"""Figures of forecasts, pooled over origins: WAPE, bias, MASE, coverage, accuracy of the sum."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from orchestration.inventory.sales import Floats


@dataclass(slots=True)
class Errors:
    """Sums that WAPE (the sum of absolute errors over that of actual units) and bias come of."""

    absolute: float = 0.0
    signed: float = 0.0
    actual: float = 0.0

    def add(self, forecast: Floats, actual: Floats) -> None:
        """Take in forecasts and what came of them."""
        self.absolute += float(np.abs(forecast - actual).sum())
        self.signed += float((forecast - actual).sum())
        self.actual += float(actual.sum())

    @property
    def wape(self) -> float:
        """Return the WAPE; NaN if nothing was sold."""
        return self.absolute / self.actual if self.actual else float("nan")

    @property
    def bias(self) -> float:
        """Return the share by which forecasts are too high (above 0) or too low, all together."""
        return self.signed / self.actual if self.actual else float("nan")


@dataclass(slots=True)
class Coverage:
    """Number of actual values within their interval, bounds included."""

    inside: int = 0
    count: int = 0

    def add(self, lower: Floats, upper: Floats, actual: Floats) -> None:
        """Take in intervals and what came of them."""
        self.inside += int(((lower <= actual) & (actual <= upper)).sum())
        self.count += len(actual)

    @property
    def share(self) -> float:
        """Return the share within."""
        return self.inside / self.count if self.count else float("nan")


@dataclass(slots=True)
class Scaled:
    """MASE: the mean over items and origins of the mean absolute error over the item's scale."""

    total: float = 0.0
    count: int = 0

    def add(self, forecast: Floats, actual: Floats, scale: Floats) -> None:
        """Take in forecasts by item and day; items whose scale is 0 have no MASE."""
        known = scale > 0
        found = np.abs(forecast - actual).mean(axis=1)[known] / scale[known]
        self.total += float(found.sum())
        self.count += int(known.sum())

    @property
    def mase(self) -> float:
        """Return the mean."""
        return self.total / self.count if self.count else float("nan")


@dataclass(slots=True)
class Scores:
    """All of one method."""

    items: dict[int, Errors]
    by_day: Errors = field(default_factory=Errors)
    by_week: Errors = field(default_factory=Errors)
    scaled: Scaled = field(default_factory=Scaled)
    coverage: dict[int, dict[int, Coverage]] = field(default_factory=dict)
    seconds: float = 0.0
    origins: int = 0


def scales(
    history: Floats, begins: np.ndarray[tuple[int], np.dtype[np.int64]], season: int
) -> Floats:
    """Return MASE's scale of each row: the mean absolute difference to the season before.

    `begins` is the column at which each row's history begins; 0 where it is too short.
    """
    differences = np.abs(history[:, season:] - history[:, :-season])
    columns = np.arange(differences.shape[1])
    counted = columns[None, :] >= begins[:, None]
    counts = counted.sum(axis=1)
    sums = (differences * counted).sum(axis=1)
    found: Floats = np.divide(sums, counts, out=np.zeros(len(history)), where=counts > 0)
    return found


def weeks(days: Floats) -> Floats:
    """Return the sums of each seven days."""
    return np.asarray(days.reshape(-1, 7).sum(axis=1))

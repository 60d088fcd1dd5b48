"""Say how unusual a measure is for its own key, in units of its own spread."""

from __future__ import annotations

import math
from dataclasses import dataclass

SLOWEST = 1e-4
"""The least weight of a new value: the statistics forget over some 10,000 values."""
WARM = 20
"""Values that are needed before anything is called unusual."""
OF_MEAN = 0.3
OF_SPREAD = 0.001
LEAST = 1e-12
"""Shares of the measure's mean and of the readings' spread in the unit, and its least: a measure
that hardly ever moves does not make each small step an event."""
MOST = 1000.0
"""The greatest result; values beyond are learnt as if they had been there."""


@dataclass(slots=True)
class Calibration:
    """Mean and variance of a measure, exponentially forgetting, plain averages at first."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def of(self, measure: float, spread: float) -> float:
        """Return how far the measure is above its mean, then learn it; at most `MOST`.

        `spread` is the standard deviation of the readings that it is a measure of.
        """
        unit = math.sqrt(self.variance) + OF_MEAN * abs(self.mean) + OF_SPREAD * spread + LEAST
        above = measure - self.mean
        result = 0.0
        if self.count >= WARM:
            result = min(MOST, above / unit)
            above = min(above, MOST * unit)
        weight = max(SLOWEST, 1.0 / (self.count + 1))
        self.mean += weight * above
        self.variance = (1.0 - weight) * (self.variance + weight * above * above)
        self.count += 1
        return result

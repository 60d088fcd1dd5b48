"""Estimate how fast an item sells, and when it runs out.

Sales are taken as a compound Poisson process: orders come independently, with any number of units.
Over D days its mean is r D and its variance f r D, r being units a day and f, the dispersion, the
sum of squared units over the sum of units. r itself is known from W days only, which adds f r D²/W.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

DAY_MS = 86_400_000
Z_80 = 1.2815515655446004
"""The quantile of the normal distribution that leaves a tenth above it: intervals of 80 %."""
_NONE_SEEN = math.log(10)
"""With no sale in W days a rate of this over W is exceeded with a chance of a tenth."""
_EDGES = (1 / 24, 1.0, 7.0, 28.0)


@dataclass(frozen=True, slots=True)
class Demand:
    """Units demanded within 1 h, 24 h, 7 d and 28 d before `at` (ms), and since when it is known.

    `squared` is the sum of the squares of each sale's units within 28 days.
    """

    at: int
    first_at: int
    units: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    squared: float = 0.0

    def within(self, days: float, now: int) -> float:
        """Return the units demanded in the `days` before `now`; nothing was sold since `at`.

        What is between two windows is taken as spread evenly over the time between them, or since
        the item is known.
        """
        gone = max(0, now - self.at) / DAY_MS
        return max(0.0, self._before(max(0.0, min(days, 28.0) - gone)))

    def _before(self, days: float) -> float:
        start, below, age = 0.0, 0.0, max(0, self.at - self.first_at) / DAY_MS
        for window, units in zip(_EDGES, self.units, strict=True):
            edge = min(window, age)
            if days < edge:
                return below + (units - below) * (days - start) / (edge - start)
            start, below = edge, units
        return below


@dataclass(frozen=True, slots=True)
class Rate:
    """Units a day, their dispersion, from how many days that is known, and the trend.

    `trend` is the rate of the last 7 days over that of the last 28; None if nothing was sold.
    """

    per_day: float
    dispersion: float
    days: float
    trend: float | None

    def most(self, days: float, z: float) -> float:
        """Return the units of `days` that are exceeded with the chance beyond `z`."""
        variance = self.dispersion * self.per_day * (days + days * days / self.days)
        return self.per_day * days + z * math.sqrt(variance)


def rate(demand: Demand, now: int) -> Rate:
    """Return how fast the item sells at `now` (ms): the mean of the rates of 7 and of 28 days.

    An item known for a shorter time is measured over that, a day at least.
    """
    known = max(1.0, (now - demand.first_at) / DAY_MS)
    short = demand.within(7.0, now) / min(7.0, known)
    long = demand.within(28.0, now) / min(28.0, known)
    total = demand.units[-1]
    dispersion = max(1.0, demand.squared / total) if total > 0 else 1.0
    trend = short / long if long > 0 else None
    return Rate((short + long) / 2, dispersion, min(14.0, known), trend)


@dataclass(frozen=True, slots=True)
class RunOut:
    """Days until nothing is left: expected, and within 80 %; None: not to be foreseen."""

    days: float | None
    earliest: float
    latest: float | None


def run_out(level: float, sells: Rate) -> RunOut:
    """Return when a level runs out at a rate.

    The bounds solve r D ± z sqrt(f r (D + D²/W)) = level, squared: a quadratic equation in D.
    """
    if level <= 0:
        return RunOut(0.0, 0.0, 0.0)
    r = sells.per_day
    if r <= 0:
        return RunOut(None, level * sells.days / _NONE_SEEN, None)
    k = Z_80 * Z_80 * sells.dispersion * r
    a, b, c = r * r - k / sells.days, 2 * level * r + k, level * level
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    # The smaller root in the form that does not cancel; the larger is on the other branch of the
    # square only where a is positive.
    earliest = 2 * c / (b + root)
    return RunOut(level / r, earliest, (b + root) / (2 * a) if a > 0 else None)

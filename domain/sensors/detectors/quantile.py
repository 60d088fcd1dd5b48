"""Quantiles: exact ones of what is at hand, and an estimate of a stream's in five numbers."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field

MARKERS = 5


def quantile(values: Sequence[float], share: float) -> float:
    """Return the quantile, interpolated linearly between the order statistics around it."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


@dataclass(slots=True)
class Quantile:
    """The P2 algorithm (Jain & Chlamtac, Communications of the ACM 1985): five markers.

    They stand at the least and greatest value, the quantile, and half-way to it on either side,
    and are moved along a parabola as values come in. Nothing is stored but the markers.
    """

    share: float
    heights: list[float] = field(default_factory=list)
    places: list[float] = field(default_factory=list)
    wanted: list[float] = field(default_factory=list)

    def learn(self, value: float) -> None:
        """Take in a value."""
        if len(self.heights) < MARKERS:
            insort(self.heights, value)
            self.places = [1.0, 2.0, 3.0, 4.0, 5.0]
            p = self.share
            self.wanted = [1.0, 1.0 + 2.0 * p, 1.0 + 4.0 * p, 3.0 + 2.0 * p, 5.0]
            return
        heights = self.heights
        heights[0], heights[4] = min(heights[0], value), max(heights[4], value)
        cell = next((k for k in range(1, 4) if value < heights[k]), 4)
        for k in range(cell, MARKERS):
            self.places[k] += 1.0
        for k, step in enumerate(
            (0.0, self.share / 2.0, self.share, (1.0 + self.share) / 2.0, 1.0)
        ):
            self.wanted[k] += step
        for k in range(1, 4):
            self._move(k)

    def value(self) -> float | None:
        """Return the estimate, None before five values."""
        return self.heights[2] if len(self.heights) == MARKERS and self.places else None

    def _move(self, k: int) -> None:
        n, q = self.places, self.heights
        apart = self.wanted[k] - n[k]
        if not (
            (apart >= 1.0 and n[k + 1] - n[k] > 1.0) or (apart <= -1.0 and n[k - 1] - n[k] < -1.0)
        ):
            return
        step = math.copysign(1.0, apart)
        right = (n[k] - n[k - 1] + step) * (q[k + 1] - q[k]) / (n[k + 1] - n[k])
        left = (n[k + 1] - n[k] - step) * (q[k] - q[k - 1]) / (n[k] - n[k - 1])
        curved = q[k] + step / (n[k + 1] - n[k - 1]) * (right + left)
        if not q[k - 1] < curved < q[k + 1]:
            beside = k + int(step)
            curved = q[k] + step * (q[beside] - q[k]) / (n[beside] - n[k])
        q[k] = curved
        n[k] += step


@dataclass(slots=True)
class AdaptiveThreshold:
    """Tells scores by a quantile of the key's own: what no more than one in 200 reaches."""

    limit: Quantile = field(default_factory=lambda: Quantile(0.995))
    warm: int = 500
    count: int = 0

    def score(self, raw: float) -> float:
        """Return a score in [0, 1], a half at the quantile of the scores before, then learn it.

        Raw scores are not negative. The first `warm` are only learnt.
        """
        limit = self.limit.value()
        self.limit.learn(raw)
        self.count += 1
        if self.count <= self.warm or limit is None or raw <= 0.0:
            return 0.0
        return raw / (raw + limit)

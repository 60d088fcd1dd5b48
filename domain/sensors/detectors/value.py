"""Novelty of a value: its distance to the nearest values that were seen before."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

NEAREST = 2
"""Past values that a reading is compared with: one alone would make the second of two equal
outliers normal."""


@dataclass(slots=True)
class ValueNovelty:
    """At most `limit` sorted values that stand for all that were seen; nothing is forgotten."""

    limit: int = 128
    values: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def of(self, value: float) -> float:
        """Return the mean distance to the two nearest values, then learn this one; 0 at first."""
        at = bisect_left(self.values, value)
        distance = self._distance(value, at)
        if at < len(self.values) and self.values[at] == value:
            self.counts[at] += 1
            return distance
        self.values.insert(at, value)
        self.counts.insert(at, 1)
        if len(self.values) > self.limit:
            self._merge()
        return distance

    def _distance(self, value: float, at: int) -> float:
        below, above = at - 1, at
        total, found = 0.0, 0
        while found < NEAREST and (below >= 0 or above < len(self.values)):
            if below < 0 or (
                above < len(self.values)
                and self.values[above] - value <= value - self.values[below]
            ):
                distance, count = self.values[above] - value, self.counts[above]
                above += 1
            else:
                distance, count = value - self.values[below], self.counts[below]
                below -= 1
            taken = min(count, NEAREST - found)
            total += taken * distance
            found += taken
        return total / found if found else 0.0

    def _merge(self) -> None:
        """Replace the closest two neighbours, of several the lowest, by their weighted mean."""
        gaps = range(len(self.values) - 1)
        at = min(gaps, key=lambda place: self.values[place + 1] - self.values[place])
        left, right = self.counts[at], self.counts[at + 1]
        both = left + right
        self.values[at] = (self.values[at] * left + self.values[at + 1] * right) / both
        self.counts[at] = both
        del self.values[at + 1], self.counts[at + 1]

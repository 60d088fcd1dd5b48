"""One series by Half-Space Trees: how rare is the value, told by the key's own adaptive threshold.

One channel allows a short cut. A node of a tree is then an interval, so in the sorted readings of a
window it is a stretch, and a bisection counts it. The scores are those of `HalfSpaceTrees`, and so
River's, to the bit (`tests/unit/orchestration/test_half_space.py`).
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from domain.sensors.detectors.alarms import ALARM
from domain.sensors.detectors.half_space import SMALL, Forest, usual
from domain.sensors.detectors.quantile import AdaptiveThreshold, Quantile

FURTHEST = 1e150
"""Readings beyond are taken for this: the room between two stays finite."""


class Rareness(NamedTuple):
    """Of one reading: its score in [0, 1] by the key's own quantile, and that of the trees."""

    score: float
    raw: float

    @property
    def alarm(self) -> bool:
        """Return whether fewer than one reading in 200 was so rare."""
        return self.score >= ALARM

    @property
    def told(self) -> str:
        """Return it in words."""
        return f"is rare: {self.raw:.6g} by the trees, beyond 99.5 % of its readings"


NOTHING = Rareness(0.0, 0.0)


def _numbers() -> array[float]:
    return array("d")


@dataclass(slots=True)
class Rarity:
    """The state of one key: readings of this window, and of the last whole one in order of size.

    They are scaled by the least and the greatest so far, as trees divide [0, 1]. At most 4 KB, and
    the forest is shared by all keys.
    """

    forest: Forest = field(default_factory=usual)
    latest: array[float] = field(default_factory=_numbers)
    before: array[float] = field(default_factory=_numbers)
    least: float = math.inf
    most: float = -math.inf
    limit: AdaptiveThreshold = field(default_factory=AdaptiveThreshold)

    def judge(self, reading: float) -> Rareness:
        """Judge a reading by those before it, then learn it; what is no number is passed over."""
        if not math.isfinite(reading):
            return NOTHING
        reading = max(-FURTHEST, min(FURTHEST, reading))
        self.least, self.most = min(self.least, reading), max(self.most, reading)
        room = self.most - self.least
        share = (reading - self.least) / room if room > 0 else 0.0
        raw = rareness(self.forest, share, self.before) if self.before else 0.0
        self.latest.append(share)
        if len(self.latest) == self.forest.shape.window:
            self.before, self.latest = array("d", sorted(self.latest)), _numbers()
        return Rareness(self.limit.score(raw), raw)

    def dump(self) -> tuple[Any, ...]:
        """Return the state as plain values, to be kept."""
        of = self.limit.limit
        windows = (self.latest.tobytes(), self.before.tobytes())
        return (*windows, self.least, self.most, self.limit.count, of.heights, of.places, of.wanted)

    @classmethod
    def load(cls, kept: tuple[Any, ...], forest: Forest | None = None) -> Rarity:
        """Invert `dump`."""
        latest, before, least, most, count, *markers = kept
        made = cls(forest or usual(), least=least, most=most)
        made.latest.frombytes(latest)
        made.before.frombytes(before)
        share = made.limit.limit.share
        made.limit = AdaptiveThreshold(Quantile(share, *markers), count=count)
        return made


def rareness(forest: Forest, value: float, ordered: Sequence[float]) -> float:
    """Return how rare a value is by a window's readings in order of size, in [0, 1]."""
    shape, thresholds = forest.shape, forest.thresholds
    light, total = SMALL * shape.window, 0.0
    for root in range(0, shape.trees * shape.inner, shape.inner):
        node, low, high, weight = 0, 0, len(ordered), 1
        for depth in range(shape.height + 1):
            count = high - low
            total += count * weight
            if count < light or depth == shape.height:
                break
            at = thresholds[root + node]
            cut = bisect_left(ordered, at, low, high)
            if value < at:
                high, node = cut, 2 * node + 1
            else:
                low, node = cut, 2 * node + 2
            weight *= 2
    return 1 - total / (shape.trees * shape.window * shape.nodes)

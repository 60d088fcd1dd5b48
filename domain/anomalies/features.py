"""Declare the features of a window of a sensor's readings, and work them out.

Pure. The order in which readings came does not matter: sums are exact (`math.fsum`), and what needs
an order sorts by time. So a window told of again after a kill has the same features, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

MINUTES = 5
"""The size of a window; windows do not overlap."""
LARGEST = 1e30
"""Values are taken as this at most, either way, so that their squares can be added up."""


@dataclass(frozen=True, slots=True)
class Readings:
    """The good readings of a window, by time (ms), then by value; `mean` is that of the values."""

    times: tuple[int, ...]
    values: tuple[float, ...]
    mean: float

    @classmethod
    def of(cls, times: Sequence[int], values: Sequence[float]) -> Readings:
        """Sort readings. Raise ValueError for none, or for one without a time."""
        bounded = (max(-LARGEST, min(LARGEST, value)) for value in values)
        pairs = sorted(zip(times, bounded, strict=True))
        if not pairs:
            raise ValueError("a window has a reading at least")
        sorted_times, sorted_values = zip(*pairs, strict=True)
        mean = math.fsum(sorted_values) / len(pairs)
        return cls(sorted_times, sorted_values, mean)


@dataclass(frozen=True, slots=True)
class Feature:
    """A number of a window: its name, what it means, and how it comes of the readings.

    `of` returns None where the readings do not say.
    """

    name: str
    meaning: str
    of: Callable[[Readings], float | None]


def _std(window: Readings) -> float:
    squares = math.fsum((value - window.mean) ** 2 for value in window.values)
    return math.sqrt(squares / len(window.values))


def _slope(window: Readings) -> float | None:
    """Return the slope of the least-squares line, in the value's unit a minute."""
    middle = math.fsum(window.times) / len(window.times)
    minutes = [(time - middle) / 60_000 for time in window.times]
    spread = math.fsum(one * one for one in minutes)
    if spread == 0:
        return None
    both = zip(minutes, window.values, strict=True)
    return math.fsum(one * (value - window.mean) for one, value in both) / spread


def _step(window: Readings) -> float | None:
    pairs = zip(window.values, window.values[1:], strict=False)
    return max((abs(after - before) for before, after in pairs), default=None)


FEATURES: tuple[Feature, ...] = (
    Feature("count", "how many readings have a value", lambda one: float(len(one.values))),
    Feature("mean", "their mean", lambda one: one.mean),
    Feature("std", "their standard deviation (of the population)", _std),
    Feature("min", "the least", lambda one: min(one.values)),
    Feature("max", "the greatest", lambda one: max(one.values)),
    Feature("slope", "of the least-squares line, a minute; unknown at one single time", _slope),
    Feature("step", "the greatest change between neighbours; unknown of one reading", _step),
)
"""What the job tells of each window, and what a model is trained on."""
NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)


def extract(times: Sequence[int], values: Sequence[float]) -> Mapping[str, float]:
    """Return the features of a window's readings by name; those that are unknown are left out.

    `times` are in ms, in any order. Raise ValueError for no readings.
    """
    window = Readings.of(times, values)
    found = {feature.name: feature.of(window) for feature in FEATURES}
    return {name: float(value) for name, value in found.items() if value is not None}

"""The default detector of one series: how new are the value and the shape of the last readings."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from domain.sensors.detectors.alarms import ALARM, Alarms
from domain.sensors.detectors.calibration import Calibration
from domain.sensors.detectors.shape import ShapeNovelty
from domain.sensors.detectors.value import ValueNovelty

LEARNT = 100
"""Readings that are only learnt: before, everything is new."""
FURTHEST = 1e15
"""Readings beyond are taken for this: their squares still fit in single precision."""

FAR = 1000.0
"""Spreads beyond which a reading's distance to the mean is learnt as that: one reading that is out
of this world must not make all that follow look small."""


class Judgement(NamedTuple):
    """Of one reading: its score in [0, 1], and by how many units value and shape are new."""

    score: float
    value: float
    shape: float

    @property
    def alarm(self) -> bool:
        """Whether somebody should hear of it."""
        return self.score >= ALARM

    @property
    def told(self) -> str:
        """Return it in words."""
        return (
            f"is new: value by {self.value:.3g} and shape by {self.shape:.3g} of its usual spread"
        )


NOTHING = Judgement(0.0, 0.0, 0.0)


@dataclass(slots=True)
class Novelty:
    """The state of one key: 8 KB of readings, 1.5 KB of values, twelve numbers."""

    values: ValueNovelty = field(default_factory=ValueNovelty)
    shapes: ShapeNovelty = field(default_factory=ShapeNovelty)
    of_value: Calibration = field(default_factory=Calibration)
    of_shape: Calibration = field(default_factory=Calibration)
    alarms: Alarms = field(default_factory=Alarms)
    count: int = 0
    first: float = 0.0
    mean: float = 0.0
    variance: float = 0.0

    def dump(self) -> tuple[Any, ...]:
        """Return the state as plain values, to be kept."""
        measures = (self.of_value, self.of_shape)
        return (
            (self.values.values, self.values.counts),
            self.shapes.dump(),
            tuple((one.count, one.mean, one.variance) for one in measures),
            (self.alarms.recent, self.alarms.since),
            (self.count, self.first, self.mean, self.variance),
        )

    @classmethod
    def load(cls, kept: tuple[Any, ...], shapes: ShapeNovelty | None = None) -> Novelty:
        """Invert `dump`; `shapes` is an empty one of another make."""
        (values, counts), readings, measures, alarms, numbers = kept
        shapes = shapes or ShapeNovelty()
        shapes.restore(readings)
        of_value, of_shape = (Calibration(*one) for one in measures)
        known = ValueNovelty(values=values, counts=counts)
        return cls(known, shapes, of_value, of_shape, Alarms(*alarms), *numbers)

    def judge(self, reading: float) -> Judgement:
        """Judge a reading by those before it, then learn it; what is no number is passed over."""
        if not math.isfinite(reading):
            return NOTHING
        reading = max(-FURTHEST, min(FURTHEST, reading))
        if self.count == 0:
            self.first = reading
        value = self.values.of(reading)
        shape = self.shapes.of(reading - self.first)
        self._spread(reading)
        if self.count <= LEARNT or shape is None:
            return NOTHING
        spread = math.sqrt(self.variance)
        new_value = self.of_value.of(value, spread)
        new_shape = self.of_shape.of(shape, spread)
        return Judgement(self.alarms.score((new_value + new_shape) / 2.0), new_value, new_shape)

    def _spread(self, reading: float) -> None:
        self.count += 1
        apart = reading - self.mean
        if self.count > LEARNT and self.variance > 0.0:
            most = FAR * math.sqrt(self.variance)
            apart = max(-most, min(most, apart))
        weight = 1.0 / self.count
        self.mean += weight * apart
        self.variance = (1.0 - weight) * (self.variance + weight * apart * apart)

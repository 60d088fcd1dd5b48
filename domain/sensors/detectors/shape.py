"""Novelty of a shape: the distance of the newest readings to the likest stretches before them."""

from __future__ import annotations

import math
import struct
from array import array
from dataclasses import dataclass, field

_SINGLE = struct.Struct("<f")


def single(value: float) -> float:
    """Return the value rounded to single precision (IEEE 754 binary32)."""
    rounded: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    return rounded


@dataclass(slots=True)
class ShapeNovelty:
    """The last `memory` readings, in single precision; stretches have `length` readings.

    Every stretch that does not overlap the newest one is compared with it, each time anew: sums
    that are carried from reading to reading keep for ever what one huge reading rounds away, and
    would double the state. All arithmetic is in single precision, each step rounded, the terms
    added from the newest to the oldest, so that vector instructions come to the same bits.
    """

    memory: int = 2000
    length: int = 16
    readings: array[float] = field(default_factory=lambda: array("f"))

    def __post_init__(self) -> None:
        """Raise ValueError if the memory holds too few stretches."""
        if self.memory < 3 * self.length:
            raise ValueError("the memory must hold three stretches")

    def dump(self) -> bytes:
        """Return the readings, in single precision, the newest last."""
        return self.readings.tobytes()

    def restore(self, kept: bytes) -> None:
        """Invert `dump`."""
        self.readings = array("f", kept)

    def of(self, value: float) -> float | None:
        """Learn the reading; return the mean distance of its stretch to the two likest before it.

        The distance is the root of the mean squared difference. None until two can be compared.
        """
        self.readings.append(single(value))
        if len(self.readings) > self.memory:
            del self.readings[0]
        stretches = len(self.readings) - 2 * self.length + 1
        if stretches < 2:
            return None
        least, second = sorted(self._squares(self.length + lag) for lag in range(stretches))[:2]
        return (self._root(least) + self._root(second)) / 2.0

    def _squares(self, lag: int) -> float:
        """Return the sum of squared differences to the stretch that ended `lag` readings ago."""
        newest = len(self.readings) - 1
        total = 0.0
        for back in range(self.length):
            apart = single(self.readings[newest - back] - self.readings[newest - back - lag])
            total = single(total + single(apart * apart))
        return total

    def _root(self, squares: float) -> float:
        return math.sqrt(squares / self.length)

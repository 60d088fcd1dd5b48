"""Pace a replay: by the events' own time, times a factor, or at a rate.

Clock and sleep are passed in.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Protocol

from config.errors import UserError

Clock = Callable[[], float]
Sleep = Callable[[float], None]

# Shorter waits are not worth a system call: the next event waits for both.
_SHORTEST = 0.0005


class Pacer(Protocol):
    """Block the caller until an event is due."""

    def wait(self, event_time: int, *, row: bool = True) -> None:
        """Return when the event of that time (ms) is due.

        `row` says whether a rate counts it.
        """
        ...


class Unpaced:
    """Let every event through at once."""

    def wait(self, event_time: int, *, row: bool = True) -> None:
        """Return at once."""


class EventTimePacer:
    """Pace events by their time, `factor` times as fast; the first is due at once."""

    def __init__(
        self, factor: float, clock: Clock = time.monotonic, sleep: Sleep = time.sleep
    ) -> None:
        self._factor, self._clock, self._sleep = factor, clock, sleep
        self._first: int | None = None
        self._started = 0.0

    def wait(self, event_time: int, *, row: bool = True) -> None:
        """Sleep until due; an event older than the first is due at once."""
        if self._first is None:
            self._first, self._started = event_time, self._clock()
        due = self._started + (event_time - self._first) / 1000.0 / self._factor
        left = due - self._clock()
        if left > _SHORTEST:
            self._sleep(left)


class RatePacer:
    """Let `rate` events a second through, evenly; catch up after a pause of the caller."""

    def __init__(
        self, rate: float, clock: Clock = time.monotonic, sleep: Sleep = time.sleep
    ) -> None:
        if rate <= 0:
            raise UserError(f"a rate is above 0, not {rate:g}")
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._count = 0
        self._started = 0.0

    def wait(self, event_time: int, *, row: bool = True) -> None:
        """Sleep until the next event is due, whatever its own time.

        An event that is not a row goes with the one before it.
        """
        if not row:
            return
        if not self._count:
            self._started = self._clock()
        left = self._started + self._count / self._rate - self._clock()
        self._count += 1
        if left > _SHORTEST:
            self._sleep(left)


def pacer(speed: str, clock: Clock = time.monotonic, sleep: Sleep = time.sleep) -> Pacer:
    """Return the pacer for `max`, or for `x10` (ten times as fast as it happened).

    Raise UserError for anything else.
    """
    if speed == "max":
        return Unpaced()
    match = re.fullmatch(r"x(\d+(?:\.\d+)?)", speed)
    if match is None or float(match[1]) <= 0:
        raise UserError(f"--speed is max or x and a number above 0 (x1, x10, x0.5), not {speed!r}")
    return EventTimePacer(float(match[1]), clock, sleep)

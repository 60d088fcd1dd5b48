"""Hold the last reported state of a consumer's loop."""

from __future__ import annotations

from collections.abc import Callable

STALLED_AFTER_S = 60.0


class Health:
    """Written by the loop, read by the health server's threads (`config.health.Reporter`)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._beat = clock()
        self.missing: dict[str, str] = {"start": "the consumer has not started yet"}
        self.waiting: dict[str, str] = {}

    def beat(self) -> None:
        """Record that the loop turned."""
        self._beat = self._clock()

    def alive(self) -> bool:
        """Return whether the loop turned within the last minute."""
        return self._clock() - self._beat < STALLED_AFTER_S

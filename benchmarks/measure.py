"""Count CPU-seconds between two points of progress, leaving out start-up."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Rate:
    """What was measured between `warm` and `done` outputs.

    Times are in seconds; `whole_*` counts from `since` on.
    """

    events: int
    cpu: float
    wall: float
    whole_events: int
    whole_cpu: float
    whole_wall: float

    @property
    def per_cpu_second(self) -> float:
        """Events per CPU-second without start-up: the figure."""
        return self.events / self.cpu

    @property
    def per_second(self) -> float:
        """Events per second of wall time without start-up."""
        return self.events / self.wall

    @property
    def whole_per_cpu_second(self) -> float:
        """Events per CPU-second from submission or process start."""
        return self.whole_events / self.whole_cpu

    def as_dict(self) -> dict[str, float]:
        """Return what goes into the JSON."""
        return {
            "events": self.events,
            "cpu_seconds": round(self.cpu, 3),
            "wall_seconds": round(self.wall, 3),
            "events_per_cpu_second": round(self.per_cpu_second),
            "events_per_second": round(self.per_second),
            "events_per_cpu_second_with_start": round(self.whole_per_cpu_second),
            "wall_seconds_with_start": round(self.whole_wall, 3),
        }


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the user and system time of the processes and their descendants, in seconds.

    Descendants that have ended count, too, where their parent waited for them.
    """
    total = 0.0
    for pid in pids:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def watch(
    progress: Callable[[], int],
    cpu: Callable[[], float],
    *,
    warm: int,
    done: int,
    alive: Callable[[], bool],
    since: tuple[float, float] | None = None,
    timeout: float = 1800.0,
) -> Rate:
    """Wait until `progress` (a growing count) passes `warm`, then `done`.

    `since` holds monotonic time and CPU-seconds at the start, if that was before this call. Raise
    RuntimeError if the measured work ends early or passes both between two looks, TimeoutError if
    it takes longer than `timeout` seconds.
    """
    began, cpu_began = since or (time.monotonic(), cpu())
    at_warm: tuple[int, float, float] | None = None
    for turn in itertools.count():
        count, now, used = progress(), time.monotonic(), cpu()
        if at_warm is None and count >= warm:
            at_warm = count, now, used
        if at_warm is not None and count >= done:
            if now == at_warm[1]:
                raise RuntimeError(
                    f"went from {warm} to {done} events between two looks: use more events"
                )
            events, wall, spent = count - at_warm[0], now - at_warm[1], used - at_warm[2]
            return Rate(events, spent, wall, count, used - cpu_began, now - began)
        if turn % 20 == 0 and not alive():
            raise RuntimeError(f"what is measured ended after {count} of {done} events")
        if now - began > timeout:
            raise TimeoutError(f"{count} of {done} events after {timeout:.0f} s")
        time.sleep(0.1)
    raise AssertionError("unreachable")

"""Cut a sensor's readings into windows, by the sensor's own time alone.

A window is over once its sensor has said something `LATE_MS` after the window's end. What is older
by then is left out. So windows follow from the log of their sensor, whatever others say meanwhile,
in a backlog and after a kill as live; the last ones of a sensor that falls silent wait until it
speaks again. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domain.anomalies.features import MINUTES, extract
from domain.events import ExtractedFeatures

SIZE_MS = MINUTES * 60_000
LATE_MS = 60_000
"""How far a reading may lie behind a newer one of its sensor and still count."""
MOST = 50_000
"""Readings of a sensor that are kept until their windows are over; more are left out."""


class Good(NamedTuple):
    """A good reading with a value; `place` is its partition and offset in the log of readings."""

    time: int
    value: float
    place: tuple[int, int]
    asset_id: str | None = None
    sensor_type: str = "default"
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Front:
    """A sensor's progress, in ms: all windows before `closed` are over.

    The next is over with a reading of `due`, None: none is open. `kept` is how many readings wait.
    """

    closed: int = 0
    due: int | None = None
    kept: int = 0

    def takes(self, reading: Good) -> bool:
        """Return whether a reading still counts."""
        return reading.time >= self.closed and self.kept < MOST

    def then(self, reading: Good) -> Front:
        """Return the front after a reading that counts."""
        end = _end(reading.time) + LATE_MS
        due = end if self.due is None else min(self.due, end)
        # Also where it ends no window: what had none of its own yet is over all the same.
        return Front(max(self.closed, _closed(reading.time)), due, self.kept + 1)

    def over(self, time: int) -> bool:
        """Return whether a reading of this time ends a window."""
        return self.due is not None and time >= self.due


def cut(readings: Iterable[Good], time: int) -> tuple[list[list[Good]], list[Good], Front]:
    """Return the windows that a reading of `time` ends, in order, what stays, and the front then.

    A reading that was told again counts once.
    """
    closed = _closed(time)
    once = {reading.place: reading for reading in readings}
    windows: dict[int, list[Good]] = {}
    stays, front = [], Front(closed)
    for reading in once.values():
        if reading.time >= closed:
            stays.append(reading)
            front = front.then(reading)
        else:
            windows.setdefault(_end(reading.time), []).append(reading)
    return [windows[end] for end in sorted(windows)], stays, front


def span(readings: Sequence[Good]) -> tuple[int, int]:
    """Return start and end of the window of these readings, in ms."""
    end = _end(readings[0].time)
    return end - SIZE_MS, end


def told(sensor_id: str, readings: Sequence[Good]) -> ExtractedFeatures:
    """Return a window's record. Of several assets, types or places the last by name counts."""
    start, end = span(readings)
    assets = [one.asset_id for one in readings if one.asset_id is not None]
    places = [one.location for one in readings if one.location is not None]
    return ExtractedFeatures(
        sensor_id=sensor_id,
        window_start=start,
        window_end=end,
        asset_id=max(assets, default=None),
        sensor_type=max(one.sensor_type for one in readings),
        location=max(places, default=None),
        features=extract([one.time for one in readings], [one.value for one in readings]),
    )


def _closed(time: int) -> int:
    """Return the start of the first window that a reading of this time leaves open."""
    return (time - LATE_MS) // SIZE_MS * SIZE_MS


def _end(time: int) -> int:
    return (time // SIZE_MS + 1) * SIZE_MS

"""Remember which windows were shown closed, and which hours were compared.

Both follow from the order of the topic `business-metrics`, so a consumer that begins again and
reads the last day of it knows what it knew. Records that it then handles a second time are judged
by what stood before their place.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from domain.events import Alert
from domain.shop.bands import DAYS, Hour, Open, before, judge
from domain.shop.windows import DAY_MS, HOUR_MS, LATE_MS, MINUTE_MS
from serving.business import keys

NEAR_MS = DAY_MS
"""A minute further away closes nothing: it is of another time, of a replay beside the present."""
WINDOWS, OPEN = 20_000, 500
"""How many windows are remembered, and how many of them are waited for."""
FIGURES = ("orders", "gmv_minor", "events", "payments")
_SHOWN = ("active_visitors", "payments_blocked", "blocked_minor")
_WATCHED = ("orders", "gmv_minor", "viewed", "purchased")


class Key(NamedTuple):
    """A window: its length and its start, in ms."""

    length: int
    start: int


@dataclass(slots=True)
class _Told:
    """The newest record of a window, and the places at which it was corrected."""

    inputs: int = -1
    record: Mapping[str, Any] = field(default_factory=dict)
    closed: bool = False
    shown: Mapping[str, Any] | None = None
    corrections: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Closed:
    """A window that closed, with the newest record of it."""

    key: Key
    record: Mapping[str, Any]


class Corrections:
    """The windows told of, and which of them were corrected after they had closed."""

    def __init__(self) -> None:
        self._told: dict[Key, _Told] = {}
        self._open: dict[Key, None] = {}
        self._ends: list[tuple[int, Key]] = []  # of those, by end
        self._closings: dict[int, tuple[Closed, ...]] = {}
        self._past = -1

    def take(self, record: Mapping[str, Any], offset: int) -> tuple[Closed, ...]:
        """Take up a record; return the windows that it closes, in order. Repeat it at will."""
        if offset <= self._past:
            return self._closings.get(offset, ())
        self._past = offset
        key = Key(record["window_ms"], record["window_start"])
        self._take(key, record, offset)
        closed = self._close(key.start) if key.length == MINUTE_MS else ()
        if closed:
            self._closings[offset] = closed
            if len(self._closings) > WINDOWS:
                del self._closings[next(iter(self._closings))]
        return closed

    def of(self, record: Mapping[str, Any], offset: int) -> tuple[int, Mapping[str, Any] | None]:
        """Return how often the window was corrected up to a place, and what was shown before."""
        one = self._told.get(Key(record["window_ms"], record["window_start"]))
        revision = bisect_right(one.corrections, offset) if one else 0
        return (revision, one.shown) if one and revision else (0, None)

    def _take(self, key: Key, record: Mapping[str, Any], offset: int) -> None:
        one = self._told.pop(key, None)
        if one is None:
            one = _Told()
            self._open[key] = None
            insort(self._ends, (key.start + key.length, key))
            if len(self._open) > OPEN:
                self._give_up(next(iter(self._open)))
        self._told[key] = one  # the last of all now
        if len(self._told) > WINDOWS:
            oldest = next(iter(self._told))
            del self._told[oldest]
            if oldest in self._open:
                self._give_up(oldest)
        inputs = keys.version(record)
        if inputs <= one.inputs:
            return
        if one.closed:
            one.shown = one.shown or {name: one.record[name] for name in FIGURES}
            one.corrections.append(offset)
        one.inputs = inputs
        one.record = {name: record[name] for name in (*FIGURES, *_WATCHED, *_SHOWN)}

    def _close(self, front: int) -> tuple[Closed, ...]:
        first = bisect_left(self._ends, front - NEAR_MS, key=_end)
        last = bisect_right(self._ends, front - LATE_MS, key=_end)
        gone = sorted(key for _, key in self._ends[first:last])
        del self._ends[first:last]
        for key in gone:
            del self._open[key]
            self._told[key].closed = True
        return tuple(Closed(key, self._told[key].record) for key in gone)

    def _give_up(self, key: Key) -> None:
        """Wait for the end of a window no longer."""
        del self._open[key]
        del self._ends[bisect_left(self._ends, (key.start + key.length, key))]


@dataclass(frozen=True, slots=True)
class Compared:
    """An hour that was compared, and what was open after it."""

    sequence: int
    hour: Hour
    open: Open


class Hours:
    """The hours compared so far, in the order in which they closed."""

    def __init__(self) -> None:
        self._compared: list[Compared] = []
        self._by_start: dict[int, Compared] = {}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Take up a BusinessWatch."""
        figures = (record[name] for name in _WATCHED)
        opened = dict(zip(record["open"], record["opened_at"], strict=True))
        hour = Hour(record["window_start"], *figures)
        self._put(Compared(record["sequence"], hour, opened))

    def compare(self, closed: Closed, sequence: int) -> list[tuple[Compared, tuple[Alert, ...]]]:
        """Compare an hour that closed at a place, and the empty hours before it.

        Return each with what there is to tell; nothing for an hour that closed before.
        """
        start = closed.key.start
        told = []
        for one in (*self._empty(start, sequence), _hour(closed)):
            known = self._by_start.get(one.start)
            if known is not None and known.sequence != sequence:
                continue
            place = bisect_left(self._compared, (sequence, one.start), key=_place)
            earlier = self._compared[place - 1] if place else None
            days = [self._by_start.get(day) for day in before(one.start)]
            usual = [day.hour for day in days if day is not None and day.sequence < sequence]
            opened, alerts = judge(one, usual, earlier.open if earlier else {})
            compared = Compared(sequence, one, opened)
            self._put(compared)
            told.append((compared, alerts))
        return told

    def _empty(self, start: int, sequence: int) -> list[Hour]:
        """Return the hours without events between the hour compared before and this one."""
        place = bisect_left(self._compared, (sequence, 0), key=_place)
        last = self._compared[place - 1].hour.start if place else start
        if not 0 < start - last <= DAY_MS:
            return []
        return [Hour(one) for one in range(last + HOUR_MS, start, HOUR_MS)]

    def _put(self, compared: Compared) -> None:
        known = self._by_start.get(compared.hour.start)
        if known is not None:
            self._compared.remove(known)
        self._by_start[compared.hour.start] = compared
        place = bisect_left(self._compared, _place(compared), key=_place)
        self._compared.insert(place, compared)
        if len(self._compared) > 3 * DAYS * 24:
            del self._by_start[self._compared.pop(0).hour.start]


def remembered(compared: Compared) -> dict[str, Any]:
    """Return the BusinessWatch of an hour."""
    hour = compared.hour
    return {
        "window_start": hour.start,
        "sequence": compared.sequence,
        **{name: getattr(hour, name) for name in _WATCHED},
        "open": tuple(compared.open),
        "opened_at": tuple(compared.open.values()),
    }


def _end(one: tuple[int, Key]) -> int:
    return one[0]


def _hour(closed: Closed) -> Hour:
    return Hour(closed.key.start, *(closed.record[name] for name in _WATCHED))


def _place(compared: Compared) -> tuple[int, int]:
    return compared.sequence, compared.hour.start

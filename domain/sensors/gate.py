"""Judge a reading before anything is made of it: what of it is wrong, every reason.

Pure logic on a bounded memory for each sensor, which the caller keeps. Time is the reading's own
and that of its arrival: a reading is judged alike whenever it is read again.

A rejected reading leaves no trace but one: a stuck sensor's repetitions are counted on. So the good
readings around it are judged as if it had never come.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from domain.events import SensorReading
from domain.sensors.kinds import Stuck, Unit
from domain.sensors.limits import SensorType

USUAL = 5
"""Good values of which the median says what a field was before: a single odd one does not."""
REMEMBERED = 256
"""Timestamps of good readings that are known again; one older than all of them is late."""


# A reading with one of these is no further one of a row of readings.
_APART = {"duplicate", "late", "stale", "time"}


class Reason(NamedTuple):
    """One check that a reading failed: its code, and the same in words."""

    code: str
    detail: str


@dataclass(slots=True)
class Memory:
    """What the gate remembers of a sensor.

    `times` are those of its newest good readings, in order. `good` has the newest good values by
    field, after the last one's time. `same` has the value of a field that is watched for being
    stuck, since when it has been so, and in how many readings.
    """

    times: list[int] = field(default_factory=list)
    good: dict[str, tuple[int, list[float]]] = field(default_factory=dict)
    same: dict[str, tuple[float, int, int]] = field(default_factory=dict)


def check(
    reading: SensorReading, arrived: int, kind: SensorType, memory: Memory
) -> tuple[Reason, ...]:
    """Return why the reading is rejected, or nothing if it is good; the memory takes it up.

    `arrived` is when it was received (ms).
    """
    reasons = [
        *_missing(reading, kind),
        *_ranges(reading, kind),
        *_times(reading, arrived, kind),
        *_again(reading, memory),
        *_units(reading, kind, memory),
    ]
    if not any(reason.code in _APART for reason in reasons):
        reasons += _stuck(reading, kind, memory)
    if not reasons:
        _keep(reading, arrived, kind, memory)
    return tuple(reasons)


def _missing(reading: SensorReading, kind: SensorType) -> Iterator[Reason]:
    for name in kind.required:
        if getattr(reading, name) is None:
            yield Reason(f"missing:{name}", f"{kind.name} sensors say their {name}")


def _ranges(reading: SensorReading, kind: SensorType) -> Iterator[Reason]:
    for name, bounds in kind.ranges.items():
        said = getattr(reading, name)
        if said is not None and not bounds.low <= said <= bounds.high:
            told = f"{name} {said:g} is not within {bounds.low:g} and {bounds.high:g}"
            yield Reason(f"range:{name}", told)


def _times(reading: SensorReading, arrived: int, kind: SensorType) -> Iterator[Reason]:
    age = (arrived - reading.timestamp) / 1000
    if age > kind.fresh_s:
        yield Reason("stale", f"{age:g} s old when it was received, {kind.fresh_s:g} at most")
    if abs(age) > kind.off_s:
        way = "before" if age > 0 else "after"
        yield Reason("time", f"its timestamp lies {abs(age):g} s {way} it was received")


def _again(reading: SensorReading, memory: Memory) -> Iterator[Reason]:
    place = bisect_left(memory.times, reading.timestamp)
    if place < len(memory.times) and memory.times[place] == reading.timestamp:
        yield Reason("duplicate", "a reading of this sensor and timestamp came before")
    elif not place and len(memory.times) == REMEMBERED:
        told = f"{REMEMBERED} later ones came before: whether it is one of older ones is not known"
        yield Reason("late", told)


def _units(reading: SensorReading, kind: SensorType, memory: Memory) -> Iterator[Reason]:
    for unit in kind.units:
        said, known = getattr(reading, unit.field), memory.good.get(unit.field)
        if said is None or known is None:
            continue
        when, values = known
        before = sorted(values)[len(values) // 2]
        if abs(reading.timestamp - when) <= unit.seconds * 1000 and _converted(said, before, unit):
            told = f"{unit.field} {said:g} after {before:g} looks like {unit.name}"
            yield Reason(f"unit:{unit.field}", told)


def _converted(said: float, before: float, unit: Unit) -> bool:
    return abs(said - (unit.factor * before + unit.offset)) <= unit.within < abs(said - before)


def _stuck(reading: SensorReading, kind: SensorType, memory: Memory) -> list[Reason]:
    reasons = []
    for watch in kind.stuck:
        said = getattr(reading, watch.field)
        if said is None:
            continue
        known = memory.same.get(watch.field)
        if known is None or known[0] != said:
            memory.same[watch.field] = (said, reading.timestamp, 1)
            continue
        since, count = min(known[1], reading.timestamp), known[2] + 1
        memory.same[watch.field] = (said, since, count)
        if _lasts(watch, reading.timestamp - since, count):
            told = f"{watch.field} has been {said:g} in {count} readings in a row"
            reasons.append(Reason(f"stuck:{watch.field}", told))
    return reasons


def _lasts(watch: Stuck, lasted: int, count: int) -> bool:
    return count >= watch.readings and lasted >= watch.seconds * 1000


def _keep(reading: SensorReading, arrived: int, kind: SensorType, memory: Memory) -> None:
    when = min(reading.timestamp, arrived)
    insort(memory.times, reading.timestamp)
    if len(memory.times) > REMEMBERED:
        del memory.times[0]
    for name in {unit.field for unit in kind.units}:
        said, (last, values) = getattr(reading, name), memory.good.get(name, (when, []))
        if said is not None and when >= last:
            memory.good[name] = (when, [*values[1 - USUAL :], said])

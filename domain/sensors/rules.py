"""Find what is unusual in a sensor's good readings, by the rules that its type declares.

Pure logic on a bounded memory: some numbers for each rule. A reading older than the newest one is
judged by what needs no memory, and changes none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domain.events import SensorReading
from domain.sensors.detectors.kept import Detectors
from domain.sensors.kinds import Dynamic, Jump, Rising, Windowed
from domain.sensors.limits import SensorType

CANDIDATES = 32
"""Readings kept to find the lowest and the highest of a jump's window, at most, for each."""

Numbers = list[float]
Notes = dict[str, Numbers]
"""What is remembered for each rule, by the name of its memory."""


class Finding(NamedTuple):
    """Something unusual: its kind, how much it weighs (0 to 1), and it in words."""

    kind: str
    weight: float
    detail: str


def findings(
    reading: SensorReading,
    kind: SensorType,
    notes: Notes,
    *,
    late: bool,
    detectors: Detectors | None = None,
) -> list[Finding]:
    """Return what is unusual of a good reading, the weightiest first; the notes take it up.

    So do the detectors. `late`: a newer reading came before.
    """
    found = list(_thresholds(reading, kind))
    if not late:
        found += _remembering(reading, kind, notes)
        if detectors is not None:
            found += _detected(reading, kind, detectors)
        found += _repeated(kind, notes, bool(found))
        known = {name for name, _ in (*kind.remembering, *kind.repeated)}
        for gone in notes.keys() - known:  # the limits were changed
            del notes[gone]
    return sorted(found, key=lambda one: (-one.weight, one.kind))


def score(found: list[Finding]) -> float:
    """Return how unusual all of it is together, from 0 to 1."""
    return 1.0 - math.prod(1.0 - one.weight for one in found)


def _thresholds(reading: SensorReading, kind: SensorType) -> Iterator[Finding]:
    for rule in kind.thresholds:
        said = getattr(reading, rule.field)
        if said is None:
            continue
        if rule.equals is not None:
            if said == rule.equals:
                yield Finding(rule.kind, rule.weight, f"{rule.field} is {said}")
        elif rule.above is not None and said > rule.above:
            told = f"{rule.field} {said:g} is above {rule.above:g}"
            yield Finding(rule.kind, rule.weight, told)
        elif rule.below is not None and said < rule.below:
            told = f"{rule.field} {said:g} is below {rule.below:g}"
            yield Finding(rule.kind, rule.weight, told)


def _remembering(reading: SensorReading, kind: SensorType, notes: Notes) -> Iterator[Finding]:
    for name, rule in kind.remembering:
        said = getattr(reading, rule.field)
        if said is None:
            continue
        numbers = notes.setdefault(name, [])
        if isinstance(rule, Jump):
            told = _jumped(rule, numbers, reading.timestamp, said)
        elif isinstance(rule, Dynamic):
            told = _above_usual(rule, numbers, said)
        elif isinstance(rule, Windowed):
            told = _off_window(rule, numbers, reading.timestamp, said)
        else:
            told = _risen(rule, numbers, reading.timestamp, said)
        if told:
            yield Finding(rule.kind, rule.weight, told)


def _detected(reading: SensorReading, kind: SensorType, detectors: Detectors) -> Iterator[Finding]:
    if detectors.known:
        detectors.keep({name for name, _ in kind.detected})
    for name, rule in kind.detected:
        said = getattr(reading, rule.field)
        if said is None:
            continue
        judged = detectors.judge(name, rule, said)
        if judged.alarm:
            yield Finding(rule.kind, rule.weight, f"{rule.field} {said:g} {judged.told}")


def _repeated(kind: SensorType, notes: Notes, found: bool) -> Iterator[Finding]:
    for name, rule in kind.repeated:
        numbers = notes.setdefault(name, [0.0])
        numbers[0] = min(numbers[0] + 1, rule.times) if found else 0.0
        if numbers[0] >= rule.times:
            yield Finding(rule.kind, rule.weight, f"{rule.times} readings in a row or more")


def _jumped(rule: Jump, numbers: Numbers, now: int, said: float) -> str:
    """Numbers: how many lows, then time and value of each low, and of each high.

    Those of a window's readings that may still be its lowest or highest, in order of time: the
    first is. A jump begins the window anew, so that each movement is told of once. If there are
    more than CANDIDATES, the second is forgotten, so a slow and long trend
    may be told of late, never wrongly.
    """
    count = int(numbers[0]) if numbers else 0
    flat = numbers[1:]
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    since = now - rule.seconds * 1000
    lows, highs = (
        [one for one in some if one[0] >= since] for some in (pairs[:count], pairs[count:])
    )
    told = ""
    if lows and said - lows[0][1] > rule.by:
        told = f"{rule.field} rose by {said - lows[0][1]:g} within {rule.seconds:g} s"
    elif highs and highs[0][1] - said > rule.by:
        told = f"{rule.field} fell by {highs[0][1] - said:g} within {rule.seconds:g} s"
    if told:
        lows, highs = [], []
    while lows and lows[-1][1] >= said:
        lows.pop()
    while highs and highs[-1][1] <= said:
        highs.pop()
    for some in (lows, highs):
        some.append((float(now), said))
        if len(some) > CANDIDATES:
            del some[1]
    numbers[:] = [float(len(lows)), *(part for one in (*lows, *highs) for part in one)]
    return told


def _above_usual(rule: Dynamic, numbers: Numbers, said: float) -> str:
    """Numbers: how many readings (up to `readings`), their mean, their variance.

    The newest readings count most once there are more: each then weighs 1/`readings`.
    """
    count, mean, variance = numbers or (0.0, 0.0, 0.0)
    bound = mean + rule.sigmas * math.sqrt(variance)
    told = ""
    if count >= rule.least and said > bound:
        told = f"{rule.field} {said:g} is above {bound:.4g}, mean and {rule.sigmas:g} deviations"
    count = min(count + 1, float(rule.readings))
    off = said - mean
    mean += off / count
    variance = (1 - 1 / count) * (variance + off * off / count)
    numbers[:] = [count, mean, variance]
    return told


def _off_window(rule: Windowed, numbers: Numbers, now: int, said: float) -> str:
    """Numbers: the newest half window's place; count, mean and squares off it, of it and before it.

    A window is two halves, so what came before a reading in the earlier window that holds it is
    the half before its own and its own so far.
    """
    half = math.floor(now / (rule.seconds * 500))
    place, own, before = (
        (numbers[0], numbers[1:4], numbers[4:]) if numbers else (half, _NONE, _NONE)
    )
    if half != place:
        own, before = _NONE, own if half == place + 1 else _NONE
    count, mean, squares = _merged(own, before)
    told = ""
    if count >= rule.least:
        deviation = math.sqrt(squares / count)
        if deviation > 0 and deviation >= rule.floor and abs(said - mean) > rule.sigmas * deviation:
            told = (
                f"{rule.field} {said:g} is {abs(said - mean) / deviation:.3g} deviations from "
                f"{mean:.4g}, the mean of {rule.seconds:g} s"
            )
    numbers[:] = [half, *_merged(own, (1.0, said, 0.0)), *before]
    return told


_NONE: Sequence[float] = (0.0, 0.0, 0.0)


def _merged(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """Return count, mean and squares off the mean of two parts together."""
    count = a[0] + b[0]
    if not count:
        return 0.0, 0.0, 0.0
    off = b[1] - a[1]
    return count, a[1] + off * b[0] / count, a[2] + b[2] + off * off * a[0] * b[0] / count


def _risen(rule: Rising, numbers: Numbers, now: int, said: float) -> str:
    """Numbers: when the rise began, from which value, its top, how many readings."""
    if not numbers or said < numbers[2] - rule.dip or said < numbers[1]:
        numbers[:] = [float(now), said, said, 1.0]
        return ""
    began, first, top, count = numbers
    numbers[:] = [began, first, max(top, said), count + 1]
    lasts = now - began >= rule.seconds * 1000 and count + 1 >= rule.readings
    if not lasts or said - first < rule.by:
        return ""
    return f"{rule.field} has risen by {said - first:g} for {(now - began) / 1000:g} s"

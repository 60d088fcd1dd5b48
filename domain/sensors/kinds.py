"""What a sensor type may declare: ranges, checks of the gate, and the kinds of rules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends are inside."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Stuck:
    """A field that says the same `readings` times in a row, over `seconds` at least, is stuck."""

    field: str = "value"
    readings: int = 20
    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Unit:
    """A field that jumps to about `factor` times its value plus `offset` has changed its unit.

    What it was before is the median of the last good values, for `seconds` after the last of them.
    `within` is how far off it may be; a value as near to what it was before has not changed.
    """

    name: str
    field: str
    factor: float
    offset: float = 0.0
    within: float = 2.0
    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Threshold:
    """A field above or below a bound, or one of `TEXTS` equal to a text."""

    kind: str
    field: str = "value"
    above: float | None = None
    below: float | None = None
    equals: str | None = None
    weight: float = 0.6


@dataclass(frozen=True, slots=True)
class Jump:
    """A field that moved by more than `by` within `seconds`, up or down; told of once."""

    kind: str
    field: str = "value"
    by: float = 5.0
    seconds: float = 60.0
    weight: float = 0.6


@dataclass(frozen=True, slots=True)
class Dynamic:
    """A field above its mean plus `sigmas` standard deviations over about `readings` readings.

    `least` readings come first without a verdict.
    """

    kind: str
    field: str = "value"
    sigmas: float = 2.0
    readings: int = 500
    least: int = 30
    weight: float = 0.3


@dataclass(frozen=True, slots=True)
class Windowed:
    """A field more than `sigmas` standard deviations from the mean of the window before it.

    Windows of `seconds` slide by half of that, on whole multiples of time; a reading is compared
    with those before it in the earlier of its two. It takes `least` of them, and no verdict is
    given where they do not differ by `floor` at least, as a standard deviation.
    """

    kind: str
    field: str = "value"
    sigmas: float = 3.0
    seconds: float = 60.0
    least: int = 10
    floor: float = 0.0
    weight: float = 0.3


@dataclass(frozen=True, slots=True)
class Novel:
    """A field whose value or shape is new: the detector `novelty` (docs/anomalies.md).

    It is told of once for each event. Its state is 10 KB a sensor, read and written with each
    reading.
    """

    kind: str
    field: str = "value"
    weight: float = 0.6


@dataclass(frozen=True, slots=True)
class Rare:
    """A field whose value is rare by Half-Space Trees (docs/anomalies.md).

    One reading in 200 is, by construction. Its state is 4 KB a sensor, read and written with each
    reading.
    """

    kind: str
    field: str = "value"
    weight: float = 0.3


@dataclass(frozen=True, slots=True)
class Joint:
    """Several channels of one asset watched together: MEWMA (docs/anomalies.md).

    A channel is "SENSOR.FIELD". Time is divided into steps of `seconds`, and a row is the last
    value of each channel in a step, or of up to `carried` steps before. The first `training` rows
    say what is normal. An alert clears after `clear_after` rows in a row below the limit.
    """

    kind: str
    channels: tuple[str, ...]
    seconds: float = 1.0
    carried: int = 10
    training: int = 400
    window: int = 40
    factor: float = 17.0
    weight: float = 0.6
    clear_after: int = 10


@dataclass(frozen=True, slots=True)
class Repeated:
    """Something was found in `times` readings in a row."""

    kind: str
    times: int = 3
    weight: float = 0.4


@dataclass(frozen=True, slots=True)
class Rising:
    """A field that has risen for `seconds`: by `by` in all, never more than `dip` below its top."""

    kind: str
    field: str = "value"
    seconds: float = 900.0
    by: float = 1.0
    dip: float = 0.0
    readings: int = 5
    weight: float = 0.5


Remembering = Jump | Dynamic | Windowed | Rising
Detected = Novel | Rare
Rule = Threshold | Remembering | Detected | Repeated
RULES: dict[str, type[Rule]] = {
    "thresholds": Threshold,
    "jumps": Jump,
    "dynamic": Dynamic,
    "windows": Windowed,
    "rising": Rising,
    "novelty": Novel,
    "half_space": Rare,
    "repeated": Repeated,
}


def memory(rule: Rule) -> str:
    """Return the name of a rule's memory.

    It belongs to what is measured and how: declared otherwise, a rule of the same kind begins anew.
    """
    return f"{type(rule).__name__} {rule.kind} {getattr(rule, 'field', '')}".rstrip()

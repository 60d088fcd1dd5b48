"""Say how a figure of an hour usually is, and tell when it leaves that band and is back again.

The band of an hour is the median of the same hour of the days before, and so many robust standard
deviations about it: 1.4826 times the median absolute deviation (Hampel 1974; a modified z-score of
3.5 is Iglewicz and Hoaglin's limit, 1993). Half of the days may be anything without moving it far.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from domain.events import Alert, AlertState
from domain.shop.windows import DAY_MS, HOUR_MS
from domain.times import iso

DAYS = 28
"""How far back the same hour is looked up."""
LEAST = 7
"""A band needs so many of these days."""
OPEN, CLEAR = 3.5, 2.5
"""An alert opens beyond so many deviations, and clears within so many."""
SPREAD = 0.05
"""A deviation is at least this share of the median, for figures that never change."""
_NORMAL = 1.4826
PRODUCT, ENTITY = "business", "shop"
KINDS: Mapping[str, str] = {"gmv_minor": "GMV", "path_conversion": "CONVERSION"}
"""Figures that are watched, and the word for each in an alert's kind and message."""


@dataclass(frozen=True, slots=True)
class Band:
    """The usual values of an hour's figure, from so many days: median and robust deviation."""

    median: float
    deviation: float
    days: int

    @property
    def low(self) -> float:
        """Return the least that is not unusual."""
        return max(0.0, self.median - OPEN * self.deviation)

    @property
    def high(self) -> float:
        """Return the most that is not unusual."""
        return self.median + OPEN * self.deviation

    def away(self, value: float) -> float:
        """Return how many deviations a value is from the median."""
        if value == self.median:
            return 0.0
        return abs(value - self.median) / self.deviation if self.deviation else math.inf


def band(values: Sequence[float], noise: float = 0.0) -> Band | None:
    """Return the band of the values of the days before; None if they are too few.

    `noise` is a deviation that chance alone makes, and the least there is.
    """
    if len(values) < LEAST:
        return None
    middle = median(values)
    spread = _NORMAL * median(abs(value - middle) for value in values)
    return Band(middle, max(spread, SPREAD * abs(middle), noise), len(values))


@dataclass(frozen=True, slots=True)
class Hour:
    """The figures of an hour that are compared, as they stood when it closed."""

    start: int
    orders: int = 0
    gmv_minor: int = 0
    viewed: int = 0
    purchased: int = 0

    def figure(self, name: str) -> float | None:
        """Return a figure by its name in `KINDS`; None where there is none."""
        if name == "gmv_minor":
            return float(self.gmv_minor)
        return self.purchased / self.viewed if self.viewed else None


def before(start: int) -> tuple[int, ...]:
    """Return the starts (ms) of the same window of the days before, the newest first."""
    return tuple(start - day * DAY_MS for day in range(1, DAYS + 1))


def usual(name: str, days: Iterable[Hour], viewed: int = 0) -> Band | None:
    """Return the band of a figure from the same hour of the days before.

    A conversion of few visitors is far from the usual by chance: `viewed` says of how many.
    """
    values = [value for one in days if (value := one.figure(name)) is not None]
    if name == "path_conversion" and viewed and values:
        share = min(1.0, max(0.0, median(values)))
        return band(values, math.sqrt(share * (1 - share) / viewed))
    return band(values)


Open = Mapping[str, int]
"""The open alerts: by figure, the start of the hour at which each opened."""


def judge(hour: Hour, days: Iterable[Hour], opened: Open) -> tuple[Open, tuple[Alert, ...]]:
    """Return what is open after an hour, and what there is to tell: once out, once back."""
    known, after, told = tuple(days), dict(opened), []
    for name in KINDS:
        value, about = hour.figure(name), usual(name, known, hour.viewed)
        if value is None or about is None:
            continue
        away = about.away(value)
        if name not in after and away > OPEN:
            after[name] = hour.start
            told.append(_alert(name, hour, about, hour.start, "open"))
        elif name in after and away <= CLEAR:
            told.append(_alert(name, hour, about, after.pop(name), "cleared"))
    return after, tuple(told)


def _alert(name: str, hour: Hour, about: Band, opened: int, state: AlertState) -> Alert:
    value = hour.figure(name) or 0.0
    word, end = KINDS[name], hour.start + HOUR_MS
    side = "below" if value < about.median else "above"
    shown, low, high = (_shown(name, one) for one in (value, about.low, about.high))
    place = f"{side} its band" if state == "open" else "back in its band"
    return Alert(
        alert_id=f"{PRODUCT}/{word}/{opened}",
        entity=ENTITY,
        event_time=end,
        kind=f"{word}_OUT_OF_BAND",
        severity="critical" if name == "gmv_minor" and side == "below" else "warning",
        message=f"{word} of the hour from {iso(hour.start)} is {shown}, {place} of {low} to {high}",
        details={
            "value": shown,
            "median": _shown(name, about.median),
            "low": low,
            "high": high,
            "days": str(about.days),
            "side": side,
        },
        state=state,
        opened_at=opened + HOUR_MS,
        product=PRODUCT,
    )


def _shown(name: str, value: float) -> str:
    return f"{value / 100:.2f}" if name == "gmv_minor" else f"{value:.4f}"

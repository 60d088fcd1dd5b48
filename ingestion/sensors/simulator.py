"""Simulate sensors by the column: their readings, what is wrong with some, and the truth of it.

Sensors take turns, and each has its own level, daily swing and noise. Each needs a millisecond of
its own for a reading, so there are at most a thousand a second of each.
Some readings are wrong by themselves (a value or a temperature far off, a field missing, a value
out of range, three days old); some sensors go wrong for a while (silent, drifting, stuck). What was
done to which reading is told beside, as `Truth`.

A chunk depends on the seed and its number alone, so any part can be made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

OUT_OF_RANGE, OLD_MS = 9999.0, 3 * 86_400_000
DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000
_PERIOD_MS = HOUR_MS  # each sensor's spells are drawn anew for each
_SPELLS = ("silent", "drift", "stuck")
_LONGEST = 0.5  # of the period


@dataclass(frozen=True, slots=True)
class Shares:
    """How many readings are wrong, and how many sensors go wrong in an hour, each as a share."""

    value: float = 0.02
    temperature: float = 0.01
    missing: float = 0.005
    out_of_range: float = 0.005
    old: float = 0.005
    spell: float = 0.01


@dataclass(frozen=True, slots=True)
class Setting:
    """How many sensors there are, and how many readings a second they make together.

    `payments`: amounts instead, from 20 to 200, one in ten below 5 or above 500.
    """

    sensors: int = 100
    rate: float = 20.0
    seed: int = 1
    start_ms: int = 1_735_689_600_000
    shares: Shares = Shares()
    payments: bool = False


class Truth(NamedTuple):
    """What was done to one reading. One that is silent was not sent."""

    sensor_id: str
    timestamp: int
    fault: str


class Made(NamedTuple):
    """A part of the readings, as columns of SensorReading, in order of sending.

    `due` is when each is sent (ms): its timestamp, unless that was made old.
    """

    table: pa.Table
    due: Ints
    truth: list[Truth]


class Simulator:
    """Make chunks of readings, one after the other."""

    def __init__(self, setting: Setting) -> None:
        self._set = setting
        rng = np.random.default_rng((setting.seed, 0))
        count = setting.sensors
        self._names = pa.array([f"sensor-{number:05d}" for number in range(count)])
        self._level, self._wet = rng.uniform(17, 24, count), rng.uniform(35, 60, count)
        self._swing, self._phase = rng.uniform(0.5, 2.5, count), rng.uniform(0, DAY_MS, count)
        self._noise, self._air = rng.uniform(0.1, 0.4, count), rng.uniform(1000, 1025, count)
        halls = max(1, count // 20)
        self._places = pa.array([f"hall-{number % halls + 1}" for number in range(count)])
        self._assets = pa.array([f"asset-{number // 5 + 1}" for number in range(count)])

    def chunks(self, rows: int, limit: int | None = None) -> Iterator[Made]:
        """Yield `rows` readings at a time, `limit` in all or without end."""
        first = 0
        while limit is None or first < limit:
            size = rows if limit is None else min(rows, limit - first)
            yield self._chunk(first, size)
            first += size

    def _chunk(self, first: int, size: int) -> Made:
        numbers = np.arange(first, first + size)
        rng = np.random.default_rng((self._set.seed, 1, first))
        due = self._set.start_ms + np.floor(numbers * 1000 / self._set.rate).astype(np.int64)
        who = numbers % self._set.sensors
        faults = np.full(size, "", dtype="U16")
        value, temperature, kept = (
            self._payments(rng, faults)
            if self._set.payments
            else self._readings(rng, due, who, faults)
        )
        times = np.where(faults == "old", due - OLD_MS, due)
        valid = faults != "missing"
        table = self._table(
            who, times, np.where(valid, value, np.nan), temperature, due=due, rng=rng
        )
        names = self._names.take(pa.array(who)).to_pylist()
        wrong = np.flatnonzero(faults != "")
        truth = [Truth(names[at], int(times[at]), str(faults[at])) for at in wrong.tolist()]
        return Made(table.filter(pa.array(kept)), due[kept], truth)

    def _payments(
        self, rng: np.random.Generator, faults: NDArray[np.str_]
    ) -> tuple[Floats, Floats | None, Flags]:
        size = len(faults)
        amount, odd = rng.uniform(20, 200, size), rng.random(size)
        amount = np.where(odd < 0.05, rng.uniform(0.5, 5, size), amount)
        amount = np.where((odd >= 0.05) & (odd < 0.1), rng.uniform(500.01, 2000, size), amount)
        faults[odd < 0.1] = "amount"
        return np.round(amount, 2), None, np.ones(size, bool)

    def _readings(
        self, rng: np.random.Generator, due: Ints, who: Ints, faults: NDArray[np.str_]
    ) -> tuple[Floats, Floats, Flags]:
        size, shares = len(due), self._set.shares
        day = np.sin((due + self._phase[who]) * (2 * np.pi / DAY_MS))
        usual = self._level[who] + self._swing[who] * day
        noise = self._noise[who]
        temperature = usual + noise * rng.standard_normal(size)
        value = usual + noise * rng.standard_normal(size)
        spell, since = self._spells(due, who)
        drifts, stuck, silent = spell == 1, spell == 2, spell == 0
        faults[drifts], faults[stuck] = "drift", "stuck"
        temperature = np.where(drifts, temperature + since / MINUTE_MS * 0.15, temperature)
        value = np.where(drifts, value + since / MINUTE_MS * 0.15, value)
        value = np.where(stuck, np.round(self._level[who], 2), value)
        drawn = rng.random(size)
        edges = np.cumsum(
            [shares.value, shares.temperature, shares.missing, shares.out_of_range, shares.old]
        )
        kind = np.searchsorted(edges, drawn, side="right")
        sign = np.where(rng.random(size) < 0.5, -1.0, 1.0)
        off = sign * rng.uniform(10, 30, size)
        value = np.where(kind == 0, value + off, value)
        value = np.where(kind == 3, OUT_OF_RANGE, value)
        hot = np.where(sign > 0, rng.uniform(32, 60, size), rng.uniform(-10, 8, size))
        temperature = np.where(kind == 1, hot, temperature)
        for place, name in enumerate(("value", "temperature", "missing", "range", "old")):
            faults[kind == place] = name
        faults[silent] = "silent"
        return np.round(value, 3), np.round(temperature, 3), ~silent

    def _spells(self, due: Ints, who: Ints) -> tuple[Ints, Ints]:
        """Return which spell each reading's sensor has then (-1: none), and since when (ms)."""
        spell, since = np.full(len(due), -1), np.zeros(len(due), np.int64)
        periods = (due - self._set.start_ms) // _PERIOD_MS
        for period in np.unique(periods):
            rng = np.random.default_rng((self._set.seed, 2, int(period)))
            count = self._set.sensors
            has = rng.random(count) < self._set.shares.spell * len(_SPELLS)
            kind = rng.integers(0, len(_SPELLS), count)
            begins = rng.uniform(0, 1 - _LONGEST, count) * _PERIOD_MS
            lasts = rng.uniform(0.3, _LONGEST, count) * _PERIOD_MS
            at = np.flatnonzero(periods == period)
            owner = who[at]
            begun = self._set.start_ms + period * _PERIOD_MS + begins[owner]
            within = has[owner] & (due[at] >= begun) & (due[at] < begun + lasts[owner])
            spell[at[within]] = kind[owner[within]]
            since[at[within]] = (due[at] - begun)[within].astype(np.int64)
        return spell, since

    def _table(
        self,
        who: Ints,
        times: Ints,
        value: Floats,
        temperature: Floats | None,
        *,
        due: Ints,
        rng: np.random.Generator,
    ) -> pa.Table:
        size = len(who)
        index = pa.array(who.astype(np.int32))

        def named(values: pa.Array) -> pa.DictionaryArray:
            return pa.DictionaryArray.from_arrays(index, values)

        columns = {
            "sensor_id": named(self._names),
            "timestamp": pa.array(times),
            "value": pa.array(value, mask=np.isnan(value)),
            "location": named(self._places),
            "asset_id": named(self._assets),
            "received_at": pa.array(due),
        }
        if temperature is None:
            payment = pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(size, np.int32)), ["payment"]
            )
            return pa.table({**columns, "sensor_type": payment})
        wet = self._wet[who] + rng.standard_normal(size)
        air = self._air[who] + 0.5 * rng.standard_normal(size)
        return pa.table(
            {
                **columns,
                "temperature": pa.array(temperature),
                "humidity": pa.array(np.round(wet, 2)),
                "pressure": pa.array(np.round(air, 2)),
            }
        )

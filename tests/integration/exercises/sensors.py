"""Sensors with hot spells; what must come of them is worked out from the schedule alone.

The group is off by default: `MILLRACE_GROUPS=core,sensors .venv/bin/pytest
tests/integration/test_survival.py -k every_part` runs the round on it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

from domain.events import SensorReading, Transaction
from serving.sensors import keys
from tests.integration.exercises import Exercise, Hands, Poison
from tests.integration.exercises.poisons import of_the_wire, refused
from tests.integration.parts import ends, read, through, until

JOB, ZSCORE, CONSUMER, SOURCE = (
    "sensor_anomalies",
    "transaction_zscore",
    "sensors",
    "sensor-readings",
)
SCORES, REJECTED, ALERTS = "sensor-scores", "rejected-readings", "alerts"
SENSORS = 40
ROUND, HOT = 40, range(20, 26)
"""Of each 40 readings of a sensor the 21st to 26th are hot."""
MISSING, AGAIN = 7, 11
"""Every so many-th record has no value, or is sent twice."""


def exercise(hands: Hands) -> Exercise:
    """Return the sensors' part."""
    start = {topic: ends(hands.stack, topic) for topic in (SOURCE, SCORES, REJECTED, ALERTS)}
    return Sensors(hands, start, time.time_ns() // 1_000_000)


@dataclass
class Sensors:
    """What has been sent so far."""

    hands: Hands
    start: dict[str, dict[int, int]]
    began: int
    rate: int = 200
    good: int = 100_000
    readings: list[SensorReading] = field(default_factory=list)
    repeats: int = 0

    @property
    def sent(self) -> int:
        """Return how many records it has sent."""
        return len(self.readings) + self.repeats

    def sending(self) -> Iterator[object]:
        """Send the sensors' readings in turn, some without a value, some a second time."""
        for place in count():
            one = self._reading(place)
            self._send(one)
            self.readings.append(one)
            if place % AGAIN == 0:
                self._send(one)
                self.repeats += 1
            yield place

    def _reading(self, place: int) -> SensorReading:
        sensor, number = place % SENSORS, place // SENSORS
        when = self.began + place
        return SensorReading(
            sensor_id=self._name(sensor),
            timestamp=when,
            received_at=when,
            value=None if place % MISSING == 0 else 20.0 + (number * 7 + sensor) % 5 * 0.1,
            temperature=35.0 if self._hot(number) else 21.0,
            humidity=40.0,
        )

    def _hot(self, number: int) -> bool:
        return number % ROUND in HOT

    def _name(self, sensor: int) -> str:
        return f"{self.hands.run}-s{sensor}"

    def _send(self, one: SensorReading) -> None:
        value = self.hands.codec.encoder(SOURCE).object(one)
        self.hands.sink.send(SOURCE, one.sensor_id, value)

    def poisons(self) -> list[Poison]:
        """Return poison for the readings, and for the payments that the z-score reads."""

        def reading(number: int) -> dict[str, Any]:
            return asdict(self._reading(number % SENSORS))

        def payment(number: int) -> dict[str, Any]:
            return asdict(
                Transaction(
                    transaction_id=f"{self.hands.run}-z{number}",
                    event_time=self.began,
                    customer_id=f"{self.hands.run}-zc",
                    terminal_id="zt",
                    amount=1.0,
                )
            )

        return [
            *of_the_wire(self.hands, SOURCE, JOB, reading, "timestamp"),
            refused(self.hands, SOURCE, JOB, reading, sensor_id=""),
            refused(self.hands, SOURCE, JOB, reading, value=float("nan")),
            *of_the_wire(self.hands, "transactions", ZSCORE, payment, "event_time"),
        ]

    def through(self) -> None:
        """Wait until every reading has its outcome, and the store the outcomes."""
        self.hands.sink.flush(120)
        hops = (
            (JOB, SOURCE),
            (f"{JOB}-unreadable", SOURCE),
            (ZSCORE, "transactions"),
            (CONSUMER, SCORES),
            (CONSUMER, REJECTED),
        )
        through(self.hands.stack, *hops, timeout=300)

    def verify(self) -> None:
        """Assert that each reading ended in one place, and each hot spell in one alert."""
        by_place: dict[tuple[int, int], set[str]] = {}
        for topic in (SCORES, REJECTED):
            for one in self._mine(topic):
                place = one["source_partition"], one["source_offset"]
                why = " ".join(one.get("reasons", ()))
                by_place.setdefault(place, set()).add(f"{topic} {why}".strip())
        assert {len(outcomes) for outcomes in by_place.values()} == {1}, "one outcome, told again"
        told = Counter(next(iter(outcomes)) for outcomes in by_place.values())
        assert told.total() == self.sent
        missing = sum(one.value is None for one in self.readings)
        # A reading without a value leaves no trace, so it is no duplicate either.
        repeated = [one for place, one in enumerate(self.readings) if place % AGAIN == 0]
        lacking = sum(one.value is None for one in repeated)
        assert told == {
            SCORES: len(self.readings) - missing,
            f"{REJECTED} missing:value": missing + lacking,
            f"{REJECTED} duplicate": len(repeated) - lacking,
        }
        found = {(one["alert_id"], one["state"]) for one in self._mine(ALERTS)}
        assert {one for one in found if one[1] != "still_open"} == self._alerts()

    def _alerts(self) -> set[tuple[str, str]]:
        """Return what is told of each sensor, by its good readings alone.

        The fall at the end of a spell is a jump, so three calm readings more clear it.
        """
        expected = set()
        for sensor in range(SENSORS):
            good = [
                (one.timestamp, one.temperature == 35.0)
                for one in self.readings[sensor::SENSORS]
                if one.value is not None
            ]
            opened, calm, before = None, 0, False
            for when, hot in good:
                unusual = hot or (before and not hot)
                before = hot
                if unusual:
                    opened, calm = opened or when, 0
                    expected.add((f"{self._name(sensor)}/{opened}", "open"))
                elif opened:
                    calm += 1
                    if calm == 3:
                        expected.add((f"{self._name(sensor)}/{opened}", "cleared"))
                        opened = None
        return expected

    def _mine(self, topic: str) -> list[dict[str, Any]]:
        start, mine = self.start[topic], f"{self.hands.run}-s"
        every = read(
            self.hands.stack, topic, self.hands.codec, start, lambda key: key.startswith(mine)
        )
        return [one for one in every if one.get("kind") != "SILENT"]

    def stored(self) -> Mapping[str, bytes]:
        """Return each sensor's newest good reading as Redis has it."""
        names = {one.sensor_id for one in self.readings}
        found = {name: self.hands.client.hget(keys.latest(name), "d") for name in names}
        return {name: data for name, data in found.items() if isinstance(data, bytes)}

    def repeat(self) -> None:
        """Send all readings again: each is rejected."""
        for one in self.readings:
            self._send(one)
            self.repeats += 1
        self.hands.sink.flush(120)
        until("they are in", lambda: ends(self.hands.stack, SOURCE) != self.start[SOURCE])

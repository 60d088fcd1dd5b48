"""Readings through the real job of temporal joins, beside a literal look-up of what held when."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from domain.events import OutsideValues, SensorMetadata, SensorScore
from ingestion.sensors.tables import version
from millrace.stack.harness import Stack
from processing.jobs.sensor_context import JOB, METADATA, OUTSIDE, SCORES, SINK
from tests.integration.parts import ends, plug, read, until

MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture(scope="module")
def job(harness: Stack) -> Iterator[Stack]:
    """The stack with the job."""
    harness.cli("jobs", "submit", JOB)
    yield harness
    harness.cli("jobs", "stop", JOB)


def _described(run: str, base: int) -> list[SensorMetadata]:
    """Return versions: a sensor that moves, a location that is told of later, a moved station."""

    def made(scope: str, name: str, minute: int, **said: Any) -> SensorMetadata:
        return SensorMetadata(**version(scope, f"{run}-{name}", base + minute * MINUTE, said))

    return [
        made("sensor", "a", -60, location=f"{run}-hall", maker="Acme"),
        made("sensor", "a", 20, location=f"{run}-yard", maker="Acme"),
        made("sensor", "a", 40, location=f"{run}-yard", maker="Other"),
        made("location", "yard", 30, place=f"{run}-north", latitude="48.1"),
        made("location", "yard", 50, place=f"{run}-south", latitude="48.2"),
    ]


def _measured(run: str, base: int) -> list[OutsideValues]:
    """Return the weather: every quarter of an hour, and of a station that stopped long ago."""
    quarters = [
        OutsideValues(
            place=f"{run}-{place}",
            event_time=base + minute * MINUTE,
            values={"temperature": minute + offset},
        )
        for minute in range(-15, 60, 15)
        for place, offset in (("north", 0.25), ("south", 0.5))
    ]
    stopped = OutsideValues(
        place=f"{run}-hall", event_time=base - 6 * HOUR + 10 * MINUTE, values={"temperature": -1.0}
    )
    return sorted([stopped, *quarters], key=lambda one: one.event_time)


def _readings(run: str, base: int) -> list[SensorScore]:
    """Return readings of an hour, up to five minutes out of order: `a`, and `b` of no metadata."""
    chance, made = random.Random(4), []
    for second in range(0, 3600, 20):
        made += [
            SensorScore(
                sensor_id=f"{run}-{name}",
                timestamp=base + second * 1000 + place,
                arrived=base + second * 1000 + 500,
                value=float(second),
                location=None if name == "a" or second % 40 else f"{run}-yard",
                source_partition=place,
                source_offset=second,
            )
            for place, name in enumerate("ab")
        ]
    return sorted(made, key=lambda one: one.timestamp + chance.randrange(4 * MINUTE))


def _held(
    reading: SensorScore, described: list[SensorMetadata], measured: list[OutsideValues]
) -> tuple[Any, ...]:
    """Look up literally what held at the reading's time."""

    def newest(scope: str, name: str | None) -> SensorMetadata | None:
        versions = [
            one
            for one in described
            if (one.scope, one.name) == (scope, name) and one.valid_from <= reading.timestamp
        ]
        return max(versions, key=lambda one: one.valid_from, default=None)

    sensor = newest("sensor", reading.sensor_id)
    location = reading.location or (sensor.location if sensor else None)
    there = newest("location", location)
    place = (there.place if there else None) or location
    values = [
        one
        for one in measured
        if one.place == place and 0 <= reading.timestamp - one.event_time <= 6 * HOUR
    ]
    outside = max(values, key=lambda one: one.event_time, default=None)
    return (
        reading.sensor_id,
        reading.timestamp,
        location,
        sensor and sensor.valid_from,
        sensor and sensor.attributes,
        there and there.valid_from,
        there and there.latitude,
        place,
        outside and outside.event_time,
        outside and outside.values,
    )


def _said(record: dict[str, Any]) -> tuple[Any, ...]:
    names = ("sensor_id", "timestamp", "location", "sensor_from", "sensor_attributes")
    rest = ("location_from", "latitude", "place", "outside_time", "outside")
    return tuple(record[name] for name in names + rest)


def test_a_reading_meets_what_held_when_it_was_measured(job: Stack) -> None:
    """Metadata of the future and a station that moved: what is newest is not what is joined."""
    stack, run = job.settings, f"context-{uuid4().hex[:6]}"
    start, now = ends(stack, SINK), time.time_ns() // MINUTE // 1_000_000 * MINUTE
    base = now - 3 * HOUR
    described, measured = _described(run, base), _measured(run, base)
    readings = _readings(run, base)
    # What comes later moves each log's time on, so that nobody waits for a quiet one.
    later = now - 30 * MINUTE
    with plug(stack) as (sink, codec):

        def send(topic: str, key: str, record: object) -> None:
            sink.send(topic, key, codec.encoder(topic).object(record))

        for known in (*described, SensorMetadata(**version("sensor", f"{run}-x", later, {}))):
            send(METADATA, known.version_id, known)
        for one in (*measured, OutsideValues(place=f"{run}-x", event_time=later)):
            send(OUTSIDE, one.place, one)
        for number in range(8):  # in both partitions of the readings
            late = SensorScore(sensor_id=f"x{number}", timestamp=later, arrived=later)
            readings.append(late)
        for reading in readings:
            send(SCORES, reading.sensor_id, reading)
        sink.flush()
        expected = sorted(
            (_held(one, described, measured) for one in readings[:-8]), key=lambda one: one[:2]
        )

        def told() -> list[tuple[Any, ...]]:
            found = read(stack, SINK, codec, start, lambda key: key.startswith(run))
            return sorted((_said(one) for one in found), key=lambda one: one[:2])

        until("all readings are joined", lambda: len(told()) >= len(expected))
        assert told() == expected
    versions = {(one[3], one[5], one[8]) for one in expected}
    assert len(versions) > 8, "of many versions and values"
    assert {one[7] for one in expected} == {None} | {
        f"{run}-{place}" for place in ("hall", "yard", "north", "south")
    }
    of_hall = [one for one in expected if one[7] == f"{run}-hall"]
    assert {one[9] is None for one in of_hall} == {True, False}, "six hours, and no longer"

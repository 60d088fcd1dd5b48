"""Windows of readings through the real job, beside NumPy's figures of the same readings."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from config.settings import Settings
from domain.events import Alert, SensorScore
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from millrace.stack.harness import Stack
from processing.jobs.sensor_windows import ALERTS, JOB, SCORES, SINK
from tests.integration.parts import ends, plug, read, until

MINUTE = 60_000
Window = tuple[str, str, int, int]
"""Scope, name, size in minutes, start (ms)."""


@pytest.fixture(scope="module")
def job(harness: Stack) -> Iterator[Stack]:
    """The stack with the job."""
    harness.cli("jobs", "submit", JOB)
    yield harness
    harness.cli("jobs", "stop", JOB)


def _readings(run: str, base: int) -> list[SensorScore]:
    """Return readings of two sensors in one hall, over 20 minutes, out of order."""
    chance, made = random.Random(9), []
    for place in range(600):
        when = base + chance.randrange(20 * MINUTE)
        made.append(
            SensorScore(
                sensor_id=f"{run}-{place % 2}",
                timestamp=when,
                arrived=when,
                value=None if place % 50 == 0 else round(chance.gauss(20, 5), 3),
                location=f"{run}-hall",
                source_partition=77,
                source_offset=int(run[-6:], 16) * 1000 + place,
            )
        )
    return made


def _expected(readings: list[SensorScore], opened: list[Alert]) -> dict[Window, list[Any]]:
    """Work each window out literally."""
    values: dict[Window, list[float]] = {}
    alerts: dict[Window, int] = {}
    for when, name, place, value in [
        *((one.timestamp, one.sensor_id, one.location, one.value) for one in readings),
        *((one.event_time, one.entity, one.location, None) for one in opened),
    ]:
        first = when // (5 * MINUTE) * 5 * MINUTE
        for scope, named in (("sensor", name), ("location", place)):
            for size, start in ((5, first), (10, first), (10, first - 5 * MINUTE)):
                window = (scope, str(named), size, start)
                values.setdefault(window, []).extend([] if value is None else [value])
                alerts.setdefault(window, 0)
    for one in opened:
        first = one.event_time // (5 * MINUTE) * 5 * MINUTE
        for scope, named in (("sensor", one.entity), ("location", str(one.location))):
            for size, start in ((5, first), (10, first), (10, first - 5 * MINUTE)):
                alerts[scope, named, size, start] += 1
    return {
        window: [len(some), alerts[window], *_figures(np.array(some))]
        for window, some in values.items()
    }


def _figures(some: np.ndarray) -> list[float]:
    if not len(some):
        return []
    quantiles = np.quantile(some, (0.5, 0.95, 0.99))
    return [*np.round([some.mean(), some.min(), some.max(), *quantiles], 6).tolist()]


def _told(records: list[dict[str, Any]], run: str) -> dict[Window, list[Any]]:
    """Return each window by the record that has most in it."""
    found: dict[Window, list[Any]] = {}
    for one in records:
        if not one["name"].startswith(run):
            continue
        size = (one["window_end"] - one["window_start"]) // MINUTE
        window = (one["scope"], one["name"], size, one["window_start"])
        figures = [one[name] for name in ("mean", "min", "max", "p50", "p95", "p99")]
        rounded = [round(figure, 6) for figure in figures if figure is not None]
        said = [one["readings"], one["alerts"], *rounded]
        found[window] = max(found.get(window, said), said, key=lambda said: said[0] + said[1])
    return found


@dataclass(slots=True)
class Scene:
    """Readings and alerts of a run, on their way through the job."""

    stack: Settings
    sink: KafkaSink
    codec: Codec
    run: str
    now: int
    base: int
    start: dict[int, int]

    def send(self, topic: str, key: str, *records: object) -> None:
        """Write records, acknowledged."""
        for one in records:
            self.sink.send(topic, key, self.codec.encoder(topic).object(one))
        self.sink.flush()

    def same(self, expected: dict[Window, list[Any]]) -> bool:
        """Return whether exactly these windows are told of."""
        return _told(read(self.stack, SINK, self.codec, self.start), self.run) == expected

    def opened(self) -> list[Alert]:
        """Return alerts of the first sensor."""
        return [
            Alert(
                alert_id=f"{self.run}/{place}",
                entity=f"{self.run}-0",
                event_time=self.base + place * MINUTE,
                kind="HIGH_TEMP",
                severity="warning",
                message="hot",
                product="sensors",
                location=f"{self.run}-hall",
            )
            for place in (1, 2, 8)
        ]


@pytest.fixture
def scene(job: Stack) -> Iterator[Scene]:
    stack, now = job.settings, time.time_ns() // 1_000_000
    base = (now - 45 * MINUTE) // (5 * MINUTE) * 5 * MINUTE
    start = ends(stack, SINK)
    with plug(stack) as (sink, codec):
        yield Scene(stack, sink, codec, f"windows-{uuid4().hex[:6]}", now, base, start)


def test_windows_are_those_of_a_literal_computation_and_late_readings_correct_them(
    scene: Scene,
) -> None:
    run, now, opened = scene.run, scene.now, scene.opened()
    readings = _readings(run, scene.base)
    for one in readings + readings[:100]:  # told again, as after a kill
        scene.send(SCORES, one.sensor_id, one)
    for alert in (*opened, opened[0]):
        scene.send(ALERTS, alert.entity, alert)
    expected = _expected(readings, opened)
    assert len(expected) >= 27
    until("all windows are told of", lambda: scene.same(expected))
    # Another sensor's reading moves the log's time on: the windows are over.
    far = SensorScore(sensor_id="x", timestamp=now, arrived=now, source_offset=now)
    scene.send(SCORES, "x", far)
    late = SensorScore(
        sensor_id=f"{run}-1",
        timestamp=scene.base + MINUTE,
        arrived=now,
        value=99.0,
        location=f"{run}-hall",
        source_offset=now + 1,
    )
    ahead = SensorScore(
        sensor_id=f"{run}-1", timestamp=now + 60 * MINUTE, arrived=now, source_offset=now + 2
    )
    scene.send(SCORES, late.sensor_id, late, ahead)
    corrected = _expected([*readings, late], opened)
    assert corrected != expected
    until("the late reading corrects its windows", lambda: scene.same(corrected))


@pytest.mark.long
def test_windows_over_a_kill_are_those_of_a_run_without_one(job: Stack, scene: Scene) -> None:
    """A kill after windows were told of in part, and one before what came since is kept."""
    readings, opened = _readings(scene.run, scene.base), scene.opened()
    parts = readings[:200], readings[200:400], readings[400:]
    for number, part in enumerate(parts):
        for one in part:
            scene.send(SCORES, one.sensor_id, one)
        if number == 0:
            for alert in opened:
                scene.send(ALERTS, alert.entity, alert)
            told = partial(scene.same, _expected(part, opened))
            until("the first part is told of", told)
        if number < 2:
            job.killed_and_back("taskmanager")
    expected = _expected(readings, opened)
    until("all windows are told of", lambda: scene.same(expected))

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest

from domain.events import RejectedReading, SensorContext, SensorScore, SensorWindow
from domain.sensors.limits import Limits, parse
from serving.api.app import create
from serving.api.context import Context
from serving.consumers.product import Incoming
from serving.sensors import routes
from serving.sensors.consumer import CONTEXT, REJECTED, SCORES, WINDOWS, Sensors
from serving.store import MemoryStore
from tests.unit.serving.api_parts import KEY, MemoryValues, assert_problem

SECOND = 1000


LIMITS = parse({"types": {"boiler": {"alert_at": 0.7}}})


def limits() -> Limits:
    return LIMITS


def scored(sensor: str, second: int, **changes: Any) -> Incoming:
    record = SensorScore(
        **{
            "sensor_id": sensor,
            "timestamp": second * SECOND,
            "arrived": second * SECOND + 100,
            "source_offset": second,
            **changes,
        }
    )
    return Incoming(asdict(record), timestamp=123, offset=0, topic=SCORES)


def rejected(sensor: str, second: int, arrived: int) -> Incoming:
    record = RejectedReading(
        sensor_id=sensor,
        timestamp=second * SECOND,
        arrived=arrived * SECOND,
        reasons=("stale", "time"),
        source_offset=arrived,
    )
    return Incoming(asdict(record), timestamp=123, offset=0, topic=REJECTED)


def windowed(place: int, readings: int, size: int = 5, scope: str = "sensor") -> Incoming:
    start = 300 * SECOND * place
    record = SensorWindow(
        window_id=f"{scope}/a/{size}/{start // SECOND}",
        scope=scope,
        name="a",
        window_start=start,
        window_end=start + size * 60 * SECOND,
        readings=readings,
        mean=2.0,
        alerts=1,
    )
    return Incoming(asdict(record), timestamp=123, offset=0, topic=WINDOWS)


def in_context(sensor: str, second: int, location: str) -> Incoming:
    record = SensorContext(
        sensor_id=sensor,
        timestamp=second * SECOND,
        location=location,
        sensor_from=SECOND,
        outside_time=SECOND,
        outside={"temperature": 1.5},
        arrived=second * SECOND + 100,
        source_offset=second,
    )
    return Incoming(asdict(record), timestamp=123, offset=0, topic=CONTEXT)


def keep(store: MemoryStore, *rows: Incoming) -> None:
    for result in Sensors(limits).handle(rows):
        store.apply(result.writes)


def test_of_a_sensors_readings_in_a_batch_only_the_newest_counts_but_late_ones_hide_none() -> None:
    sensors = Sensors(limits)
    rows = [scored("a", 1), scored("a", 3), scored("a", 2, late=True), rejected("a", 1, 4)]
    assert [sensors.fold(row) for row in rows] == [
        (SCORES, "a"),
        (SCORES, "a"),
        None,
        (REJECTED, "a"),
    ]


@pytest.fixture
def application(context: Context) -> FastAPI:
    return create(context, [routes])


@pytest.mark.anyio
class TestRoutes:
    async def state(self, client: httpx.AsyncClient, sensor: str) -> dict[str, Any]:
        answer = await client.get(f"/v1/sensors/{sensor}", headers=KEY)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def test_the_newest_reading_stays_and_a_late_one_changes_nothing(
        self, client: httpx.AsyncClient, values: MemoryValues
    ) -> None:
        keep(values.store, scored("a", 1), scored("a", 3, value=3.0), scored("a", 2, late=True))
        found = await self.state(client, "a")
        assert (found["state"], found["rejected"]) == ("ok", None)
        assert found["latest"]["timestamp"] == "1970-01-01T00:00:03.000Z"
        assert found["latest"]["value"] == 3.0
        assert "source_offset" not in found["latest"]

    async def test_a_sensor_is_as_what_came_last(
        self, client: httpx.AsyncClient, values: MemoryValues
    ) -> None:
        keep(values.store, rejected("a", -5, 2))
        assert (await self.state(client, "a"))["state"] == "rejected"
        keep(values.store, scored("a", 3, alert_id="a/3"))
        assert (await self.state(client, "a"))["state"] == "alert"
        keep(values.store, rejected("a", -5, 4))
        found = await self.state(client, "a")
        assert found["state"] == "rejected"
        assert found["rejected"]["reasons"] == ["stale", "time"]
        assert found["latest"]["alert_id"] == "a/3"

    async def test_sensors_are_listed_by_state(
        self, client: httpx.AsyncClient, values: MemoryValues
    ) -> None:
        keep(values.store, scored("a", 1), scored("b", 2, alert_id="b/2"), rejected("c", 1, 3))

        async def listed(**asked: Any) -> list[str]:
            answer = await client.get("/v1/sensors", params=asked, headers=KEY)
            return [one["sensor_id"] for one in answer.raise_for_status().json()["sensors"]]

        assert await listed() == ["c", "b", "a"]
        assert await listed(state="alert") == ["b"]
        assert await listed(state="ok") == ["a"]
        assert await listed(limit=2) == ["c", "b"]

    async def test_the_newest_windows_are_shown_corrected_and_never_taken_back(
        self, client: httpx.AsyncClient, values: MemoryValues
    ) -> None:
        rows = [windowed(place, 5 * place + 7) for place in range(4)]
        rows += [windowed(3, 30), windowed(3, 4), windowed(2, 18), windowed(0, 99)]
        rows += [windowed(2, 9, size=10), windowed(3, 1, scope="location")]
        keep(values.store, scored("a", 1), *rows)
        found = (await self.state(client, "a"))["windows"]
        assert [(one["minutes"], one["window_start"][14:16], one["readings"]) for one in found] == [
            (5, "15", 30),
            (5, "10", 18),
            (5, "05", 12),
            (10, "10", 9),
        ]
        answer = await client.get("/v1/locations/a", headers=KEY)
        (only,) = answer.raise_for_status().json()["windows"]
        assert (only["readings"], only["mean"], only["alerts"]) == (1, 2.0, 1)
        answer = await client.get("/v1/locations/x", headers=KEY)
        assert_problem(answer, 404, "nothing is known of location x", "/v1/locations/x")

    async def test_a_sensor_is_shown_in_the_context_of_its_newest_reading(
        self, client: httpx.AsyncClient, values: MemoryValues
    ) -> None:
        keep(values.store, scored("a", 9))
        assert (await self.state(client, "a"))["context"] is None
        rows = [in_context("a", 2, "yard"), in_context("a", 1, "hall")]
        keep(values.store, *rows)
        assert [Sensors(limits).fold(row) for row in rows] == [None, None]
        found = (await self.state(client, "a"))["context"]
        assert (found["timestamp"], found["location"]) == ("1970-01-01T00:00:02.000Z", "yard")
        assert found["sensor_from"] == "1970-01-01T00:00:01.000Z"
        assert (found["location_from"], found["outside"]) == (None, {"temperature": 1.5})
        assert "source_offset" not in found

    async def test_an_unknown_sensor_is_a_problem(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/sensors/x", headers=KEY)
        assert_problem(answer, 404, "nothing is known of sensor x", "/v1/sensors/x")


def test_a_reading_dated_ahead_does_not_hide_those_after_it() -> None:
    store = MemoryStore()
    keep(store, scored("a", 9_000, arrived=5 * SECOND), scored("a", 6))
    (kept,) = [value for name, value in store.values.items() if name == "sensors:latest:a"]
    assert b"1970-01-01T00:00:06.000Z" in kept.data


def test_readings_are_counted_by_the_names_that_dashboards_know() -> None:
    sensors, registry = Sensors(limits), CollectorRegistry()
    sensors.register(registry)
    sensors.met(
        [
            scored("a", 1, sensor_type="boiler", score=0.69, value=3.0),
            scored("a", 2, sensor_type="boiler", score=0.7, value=4.0),
            scored("b", 3, sensor_type="made up", score=0.5),
            rejected("a", 4, 4),
            windowed(1, 1),
        ]
    )
    lines = set(generate_latest(registry).decode().splitlines())
    assert {
        "processed_records_total 4.0",
        'dq_records_total{check="all",outcome="passed"} 3.0',
        'dq_records_total{check="stale",outcome="rejected"} 1.0',
        'dq_records_total{check="time",outcome="rejected"} 1.0',
        'anomalies_total{sensor_type="boiler"} 1.0',
        'anomalies_total{sensor_type="default"} 1.0',
        'last_anomaly_score{sensor_type="boiler"} 0.7',
        'anomaly_threshold{sensor_type="boiler"} 0.7',
        'event_value_bucket{le="5.0",sensor_type="boiler"} 2.0',
        'event_value_count{sensor_type="boiler"} 2.0',
    } <= lines
    assert "made up" not in str(lines)

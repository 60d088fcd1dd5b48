from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from serving.api.app import create
from serving.api.context import Context
from serving.api.gateway import AwayError, Gateway
from serving.sensors import intake, routes
from tests.unit.serving.api_parts import KEY, FakeGateway, assert_problem

pytestmark = pytest.mark.anyio
PATH = "/v1/sensors/readings"
NOON = 1_764_504_000_000


@pytest.fixture
def application(context: Context, gateway: FakeGateway) -> FastAPI:
    context.parts[intake.PART] = cast("Gateway", gateway)
    return create(context, [routes, intake])


async def test_one_reading_is_produced_by_its_sensor(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    body = {
        "sensor_id": "a",
        "timestamp": "2025-11-30T13:00:00+01:00",
        "value": 1,
        "status": "WARN",
    }
    answer = await client.post(PATH, json=body, headers=KEY)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    ((key, record),) = gateway.produced
    assert (key, record["timestamp"], record["value"]) == ("a", NOON, 1.0)
    assert (record["status"], record["sensor_type"], record["humidity"]) == (
        "WARN",
        "default",
        None,
    )


async def test_a_batch_is_taken_in_its_order_and_times_may_be_milliseconds_or_absent(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    body = [{"sensor_id": "a", "timestamp": NOON + 1}, {"sensor_id": "b"}]
    answer = await client.post(PATH, json=body, headers=KEY)
    assert answer.json() == {"accepted": 2}
    assert [key for key, _ in gateway.produced] == ["a", "b"]
    first, second = (record["timestamp"] for _, record in gateway.produced)
    assert first == NOON + 1
    assert second > NOON


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"sensor_id": ""}, "sensor_id"),
        ({"value": 1}, "sensor_id"),
        ({"sensor_id": "a", "colour": "red"}, "colour"),
        ({"sensor_id": "a", "status": "GONE"}, "status"),
        ({"sensor_id": "a", "timestamp": "2025-11-30T12:00:00"}, "timestamp"),
        ([], "at least 1"),
        ([{"sensor_id": "a"}, {"sensor_id": 5}], "1.sensor_id"),
    ],
)
async def test_what_is_no_reading_is_refused_whole(
    client: httpx.AsyncClient, gateway: FakeGateway, body: Any, where: str
) -> None:
    answer = await client.post(PATH, json=body, headers=KEY)
    assert_problem(answer, 422, where, PATH)
    assert gateway.produced == []


async def test_what_is_not_confirmed_is_not_accepted(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.confirm = AwayError("broker gone")
    answer = await client.post(PATH, json={"sensor_id": "a"}, headers=KEY)
    assert_problem(answer, 503, "broker gone", PATH)
    assert answer.headers["Retry-After"] == "1"
    gateway.away = "registry gone"
    assert (await client.post(PATH, json={"sensor_id": "a"}, headers=KEY)).status_code == 503
    gateway.away, gateway.refuse = "", "too large"
    assert_problem(
        await client.post(PATH, json={"sensor_id": "a"}, headers=KEY), 422, "too large", PATH
    )

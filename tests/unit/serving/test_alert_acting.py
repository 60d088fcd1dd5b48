from __future__ import annotations

import time
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from domain.alerts.acts import acknowledgement, silence
from serving.alerts import acting, routes
from serving.alerts.consumer import Alerts
from serving.api.app import create
from serving.api.context import Context
from serving.api.gateway import AwayError, Gateway
from serving.consumers.product import Incoming
from tests.unit.serving.api_parts import KEY, FakeGateway, MemoryValues, assert_problem
from tests.unit.serving.test_alerts import keep, told

pytestmark = pytest.mark.anyio
DONE = [0]
NOW = time.time_ns() // 1_000_000


@pytest.fixture
def application(context: Context, gateway: FakeGateway) -> FastAPI:
    context.parts[acting.PART] = cast("Gateway", gateway)
    return create(context, [acting, routes])


def done(values: MemoryValues, *acts: dict[str, Any]) -> None:
    rows = [Incoming(one, 1, place, "alert-acts") for place, one in enumerate(acts, DONE[0])]
    DONE[0] += len(rows)
    for result in Alerts().handle([*reversed(rows)]):  # in whatever order they are read
        values.store.apply(result.writes)


async def test_an_acknowledgement_is_produced_and_takes_a_key(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    path, body = "/v1/alerts/acknowledgements", {"alert_id": "s/1", "by": "ada"}
    assert (await client.post(path, json=body)).status_code == 401
    answer = await client.post(path, json=body, headers=KEY)
    assert (answer.status_code, answer.json()["subject"]) == (202, "ack/s%2F1")
    ((key, record),) = gateway.produced
    assert key == "ack/s%2F1"
    assert (record["act"], record["alert_id"], record["by"]) == ("ack", "s/1", "ada")
    gateway.confirm = AwayError("broker gone")
    answer = await client.post(path, json=body, headers=KEY)
    assert_problem(answer, 503, "broker gone", path)


async def test_a_silence_names_something_and_ends(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    path = "/v1/alerts/silences"
    answer = await client.post(path, json={"entity": "s", "seconds": 60}, headers=KEY)
    assert answer.status_code == 202
    ((key, record),) = gateway.produced
    assert (key, record["until"] - record["event_time"]) == ("silence/s/", 60_000)
    for wrong in ({"seconds": 5}, {"entity": "s"}, {"entity": "s", "seconds": -1}):
        assert (await client.post(path, json=wrong, headers=KEY)).status_code == 422
    assert len(gateway.produced) == 1


async def test_alerts_say_who_has_seen_them_and_until_when_they_are_silenced(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    keep(values.store, told("a/1", 1), told("b/2", 2))
    done(
        values,
        acknowledgement("a/1", now=3_000, by="ada"),
        silence("b", "", now=NOW, until=NOW + 3_600_000, by="eve"),
        acknowledgement("a/1", now=2_000, by="bob", note="late"),  # by a clock that is behind
    )
    listed = (await client.get("/v1/alerts", headers=KEY)).json()["alerts"]
    seen = {"by": "bob", "note": "late", "at": "1970-01-01T00:00:02.000Z"}
    assert [one["acknowledged"] for one in listed] == [None, seen]
    assert listed[0]["silenced_until"] is not None
    assert listed[1]["silenced_until"] is None
    one = (await client.get("/v1/alerts/a/1", headers=KEY)).json()
    assert one == listed[1]
    held = (await client.get("/v1/alerts/silences", headers=KEY)).json()["silences"]
    assert [(one["entity"], one["kind"], one["by"]) for one in held] == [("b", "", "eve")]
    done(values, silence("b", "", now=NOW + 1, until=NOW + 1))
    held = (await client.get("/v1/alerts/silences", headers=KEY)).json()["silences"]
    assert held == []

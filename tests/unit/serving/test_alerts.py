from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest

from domain.alerts.episodes import MOMENT, document
from serving.alerts import keys, routes
from serving.alerts.consumer import Alerts
from serving.api.app import create
from serving.api.context import Context
from serving.consumers.product import Incoming
from serving.store import MemoryStore
from tests.unit.serving.api_parts import KEY, MemoryValues, assert_problem

MINUTE = 60_000


def told(alert_id: str, minute: int, state: str = "open", **changes: Any) -> Incoming:
    record = {
        "alert_id": alert_id,
        "entity": alert_id.partition("/")[0],
        "event_time": minute * MINUTE,
        "kind": "HIGH_TEMP",
        "severity": "warning",
        "message": f"at {minute}",
        "details": {},
        "state": state,
        "opened_at": None,
        "product": "sensors",
        "score": 0.6,
        "location": None,
        **changes,
    }
    return Incoming(record, timestamp=123, offset=0)


def keep(store: MemoryStore, *rows: Incoming) -> None:
    for result in Alerts().handle(rows):
        store.apply(result.writes)


def test_the_last_word_stays_whatever_the_order() -> None:
    rows = [told("s/1", 1), told("s/1", 5, "still_open"), told("s/1", 5, "cleared")]
    for order in (rows, rows[::-1], [rows[1], rows[2], rows[0], rows[1]]):
        store = MemoryStore()
        keep(store, *order)
        stored = store.get(keys.alert("s/1"))
        assert stored is not None
        assert orjson.loads(stored.data)["state"] == "cleared"
        assert store.newest(keys.RECENT, 5) == [b"s/1"]


def test_an_alert_without_a_beginning_began_when_it_was_told_of() -> None:
    assert document(told("s/1", 1).record)["opened_at"] == "1970-01-01T00:01:00.000Z"
    later = document(told("s/1", 2, opened_at=MINUTE).record)
    assert later["opened_at"] == "1970-01-01T00:01:00.000Z"


def test_alerts_of_a_moment_evict_none_that_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "KEEP", 2)
    store = MemoryStore()
    keep(store, told("s/1", 1))
    keep(store, *(told(f"p/{n}", n, "cleared", details={MOMENT: "true"}) for n in range(2, 9)))
    assert store.newest(keys.RECENT, 9) == [b"s/1"]
    assert store.get(keys.alert("s/1")) is not None
    assert store.newest(keys.MOMENTS, 9) == [b"p/8", b"p/7"]


def test_alerts_are_counted_by_product_and_severity() -> None:
    alerts, registry = Alerts(), CollectorRegistry()
    alerts.register(registry)
    alerts.handle([told("s/1", 1), told("s/2", 1, severity="critical"), told("s/3", 2)])
    text = generate_latest(registry).decode()
    labels = 'product="sensors",severity="warning",state="open"'
    assert f"millrace_alerts_told_total{{{labels}}} 2.0" in text


@pytest.fixture
def application(context: Context) -> FastAPI:
    return create(context, [routes])


@pytest.mark.anyio
class TestRoutes:
    @pytest.fixture
    def kept(self, values: MemoryValues) -> MemoryValues:
        keep(
            values.store,
            told("a/1", 1),
            told("b/2", 2, severity="critical"),
            told("a/1", 3, "still_open"),
            told("c/4", 4),
            told("c/4", 5, "cleared"),
            told("p/1", 1, "cleared", details={MOMENT: "true"}, severity="info"),
        )
        return values

    @pytest.mark.parametrize(
        ("asked", "ids"),
        [
            ({}, ["c/4", "a/1", "b/2", "p/1"]),
            ({"severity": "info"}, ["p/1"]),
            ({"state": "open"}, ["a/1", "b/2"]),
            ({"state": "cleared"}, ["c/4", "p/1"]),
            ({"severity": "critical"}, ["b/2"]),
            ({"entity": "a"}, ["a/1"]),
            ({"limit": 1}, ["c/4"]),
        ],
    )
    async def test_those_asked_for_are_listed_newest_first(
        self, client: httpx.AsyncClient, kept: MemoryValues, asked: dict[str, Any], ids: list[str]
    ) -> None:
        answer = await client.get("/v1/alerts", params=asked, headers=KEY)
        assert [one["alert_id"] for one in answer.json()["alerts"]] == ids

    async def test_one_is_found_by_its_id(
        self, client: httpx.AsyncClient, kept: MemoryValues
    ) -> None:
        answer = await client.get("/v1/alerts/a/1", headers=KEY)
        assert (answer.json()["state"], answer.json()["message"]) == ("still_open", "at 3")
        missing = await client.get("/v1/alerts/x", headers=KEY)
        assert_problem(missing, 404, "no alert x is known", "/v1/alerts/x")

    async def test_a_mistake_is_a_problem(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/alerts", params={"state": "shut"}, headers=KEY)
        assert_problem(answer, 422, "state", "/v1/alerts")

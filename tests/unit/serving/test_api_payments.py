"""`POST /v1/fraud/transactions` over an in-memory store and a gateway without Kafka."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest

from serving.api.gateway import AwayError
from tests.unit.serving.api_parts import (
    KEY,
    PAYMENT,
    FakeGateway,
    MemoryValues,
    assert_problem,
    store,
)

pytestmark = pytest.mark.anyio

DECIDED = {
    **PAYMENT,
    "amount": 10.0,
    "event_time": "2026-01-01T00:00:00.000Z",
    "decision": "approve",
}
OTHERS = [
    {"customer_id": "c2"},
    {"terminal_id": "m2"},
    {"amount": 11},
    {"event_time": "2026-01-01T00:00:00.001Z"},
]
SCORED = {"decision": "block", "produced_at": 0, "features_at": 1, "scored_at": 2}


async def test_a_decision_within_the_deadline(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    gateway.answer = SCORED
    payment = {**PAYMENT, "event_time": "2026-01-01T00:00:00Z"}
    answer = await client.post("/v1/fraud/transactions", json=payment, headers=KEY)
    assert answer.status_code == 200
    assert (answer.json()["decision"], answer.json()["event_time"]) == (
        "block",
        "2026-01-01T00:00:00.000Z",
    )
    assert gateway.produced == [
        ("c1", {**PAYMENT, "amount": 10.0, "event_time": 1_767_225_600_000})
    ]
    assert gateway.waiting == {}


async def test_after_the_deadline_a_link(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    answer = await client.post("/v1/fraud/transactions?deadline_ms=1", json=PAYMENT, headers=KEY)
    assert answer.status_code == 202
    assert answer.headers["location"] == answer.json()["location"] == "/v1/fraud/transactions/p1"
    assert answer.json()["status"] == "pending"
    assert abs(gateway.produced[0][1]["event_time"] - time.time() * 1000) < 60_000


@pytest.mark.parametrize(("deadline", "status"), [(30_000, "200"), (1, "202")])
async def test_openapi_links_lead_from_a_payment_to_its_look_ups(
    client: httpx.AsyncClient,
    gateway: FakeGateway,
    values: MemoryValues,
    deadline: int,
    status: str,
) -> None:
    page = (await client.get("/openapi.json")).json()
    gateway.answer = SCORED if status == "200" else None
    post = "/v1/fraud/transactions"
    payment = {**PAYMENT, "transaction_id": "a b/c"}
    answer = await client.post(f"{post}?deadline_ms={deadline}", json=payment, headers=KEY)
    assert str(answer.status_code) == status
    store(values, "a b/c", 1, b'{"n":1}')
    bodies = {"$request": payment, "$response": answer.json()}
    links = page["paths"][post]["post"]["responses"][status]["links"]
    assert set(links) == {"decision", "customer"}
    for link in links.values():
        (path,) = (
            path
            for path, operations in page["paths"].items()
            if operations.get("get", {}).get("operationId") == link["operationId"]
        )
        for name, expression in link["parameters"].items():
            where, _, field = expression.partition(".body#/")
            path = path.replace(f"{{{name}}}", quote(bodies[where][field], safe=""))
        assert "{" not in path
        assert (await client.get(path, headers=KEY)).status_code == 200


@pytest.mark.parametrize(
    "name", ["a/b", "/a", "a//", "a%2Fb", "a b?c#d", "...", "ä/ö", "one\ntwo\n"]
)
async def test_the_link_leads_to_the_decision(
    client: httpx.AsyncClient, values: MemoryValues, name: str
) -> None:
    payment = {**PAYMENT, "transaction_id": name, "customer_id": name}
    answer = await client.post("/v1/fraud/transactions?deadline_ms=1", json=payment, headers=KEY)
    store(values, name, 1, b'{"n":1}', customer=name)
    found = await client.get(answer.headers["location"], headers=KEY)
    assert (found.status_code, found.json()) == (200, {"n": 1})
    customer = await client.get(f"/v1/fraud/customers/{quote(name, safe='')}", headers=KEY)
    assert (customer.status_code, customer.json()["customer_id"]) == (200, name)
    route = "/v1/fraud/customers/{customer_id}"
    assert f'route="{route}",status="200"' in (await client.get("/metrics")).text


async def test_a_repetition_returns_what_is_stored(
    client: httpx.AsyncClient, values: MemoryValues, gateway: FakeGateway
) -> None:
    store(values, "p1", 1, orjson.dumps(DECIDED))
    for body in (PAYMENT, {**PAYMENT, "event_time": "2026-01-01T01:00:00+01:00"}):
        answer = await client.post("/v1/fraud/transactions", json=body, headers=KEY)
        assert (answer.status_code, answer.content) == (200, orjson.dumps(DECIDED))
    assert gateway.produced == []


@pytest.mark.parametrize("change", OTHERS)
async def test_an_id_with_a_decision_is_not_for_another_payment(
    client: httpx.AsyncClient, values: MemoryValues, gateway: FakeGateway, change: dict[str, Any]
) -> None:
    store(values, "p1", 1, orjson.dumps(DECIDED))
    answer = await client.post("/v1/fraud/transactions", json={**PAYMENT, **change}, headers=KEY)
    assert_problem(answer, 409, "transaction p1 is another payment", "/v1/fraud/transactions")
    assert "approve" not in answer.text
    assert gateway.produced == []


@pytest.mark.parametrize("confirm", [True, False, AwayError("timed out")])
@pytest.mark.parametrize("change", OTHERS)
async def test_an_id_on_its_way_is_not_for_another_payment(
    client: httpx.AsyncClient,
    gateway: FakeGateway,
    change: dict[str, Any],
    confirm: Exception | bool,
) -> None:
    gateway.confirm = confirm
    await client.post("/v1/fraud/transactions", json=PAYMENT, headers=KEY)
    answer = await client.post("/v1/fraud/transactions", json={**PAYMENT, **change}, headers=KEY)
    assert_problem(answer, 409, "transaction p1 is another payment", "/v1/fraud/transactions")
    assert len(gateway.produced) == 1
    assert gateway.waiting == {}


@pytest.mark.parametrize("change", [{"customer_id": "c2"}, {"event_time": 1}])
async def test_a_decision_on_another_payment_is_not_the_answer(
    client: httpx.AsyncClient, gateway: FakeGateway, change: dict[str, Any]
) -> None:
    gateway.answer = {**SCORED, **change}
    payment = {**PAYMENT, "event_time": "2026-01-01T00:00:00Z"}
    answer = await client.post("/v1/fraud/transactions", json=payment, headers=KEY)
    assert_problem(answer, 409, "transaction p1 is another payment", "/v1/fraud/transactions")


async def test_a_repetition_before_the_score_produces_once(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    for _ in range(2):
        assert (
            await client.post("/v1/fraud/transactions", json=PAYMENT, headers=KEY)
        ).status_code == 202
    assert len(gateway.produced) == 1


async def test_what_failed_is_produced_again(
    client: httpx.AsyncClient, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(time=iter((1000.0, 2000.0, 3000.0)).__next__)
    monkeypatch.setattr("serving.fraud.routes.time", clock)
    gateway.confirm = AwayError("timed out")
    for _ in range(2):
        answer = await client.post("/v1/fraud/transactions", json=PAYMENT, headers=KEY)
        assert_problem(answer, 503, "(timed out), which may have arrived", "/v1/fraud/transactions")
    gateway.confirm = True
    assert (
        await client.post("/v1/fraud/transactions", json=PAYMENT, headers=KEY)
    ).status_code == 202
    assert gateway.produced == 3 * [("c1", {**PAYMENT, "event_time": 1_000_000})]


async def test_unconfirmed_is_not_accepted(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    gateway.confirm = False
    answer = await client.post("/v1/fraud/transactions", json=PAYMENT, headers=KEY)
    assert_problem(
        answer,
        503,
        "has not confirmed the payment (not within the deadline)",
        "/v1/fraud/transactions",
    )


async def test_registry_away(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    gateway.away = "schema registry: gone"
    answer = await client.post("/v1/fraud/transactions", json=PAYMENT, headers=KEY)
    assert_problem(answer, 503, "schema registry: gone", "/v1/fraud/transactions")


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"transaction_id": ""}, "body.transaction_id"),
        ({"transaction_id": "."}, "body.transaction_id: '.' and '..' cannot be ids"),
        ({"customer_id": ".."}, "body.customer_id: '.' and '..' cannot be ids"),
        (
            {"event_time": "0001-01-01T00:00:00+01:00"},
            "body.event_time: lies outside the years 1 to 9999",
        ),
        ({"amount": "10"}, "body.amount"),
        ({"amount": None}, "body.amount"),
        ({"event_time": "2026-01-01T00:00:00"}, "body.event_time"),
        ({"event_time": "2999-01-01T00:00:00Z"}, "in the future"),
        ({"other": 1}, "body.other"),
    ],
)
async def test_refused_bodies(
    client: httpx.AsyncClient, gateway: FakeGateway, change: dict[str, Any], detail: str
) -> None:
    answer = await client.post("/v1/fraud/transactions", json={**PAYMENT, **change}, headers=KEY)
    assert_problem(answer, 422, detail, "/v1/fraud/transactions")
    assert gateway.produced == []


async def test_refused_by_the_contract(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    gateway.refuse = "Transaction.amount: too much"
    answer = await client.post("/v1/fraud/transactions", json=PAYMENT, headers=KEY)
    assert_problem(answer, 422, "too much", "/v1/fraud/transactions")

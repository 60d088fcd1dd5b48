"""The queue, cases, histories and verdicts over an in-memory store and a gateway without Kafka."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from serving.api.gateway import AwayError
from serving.fraud import keys
from tests.unit.serving.api_parts import KEY, FakeGateway, MemoryValues, assert_problem

pytestmark = pytest.mark.anyio
START = 1_700_000_000_000


def score(name: str, number: int, decision: str = "review", customer: str = "c1") -> dict[str, Any]:
    return {
        "transaction_id": name,
        "customer_id": customer,
        "terminal_id": "m1",
        "amount": 9.5,
        "decision": decision,
        "sequence": number,
        **dict.fromkeys(keys.TIMES, START + number),
    }


def scored(values: MemoryValues, record: dict[str, Any], **features: float | None) -> None:
    writes = [keys.decision(record)]
    if record["decision"] != "approve":
        writes.append(keys.suspect(record, features))
    values.store.apply(writes)


def judged(values: MemoryValues, name: str, *, fraud: bool, at: int = START) -> None:
    record = {"transaction_id": name, "event_time": at, "is_fraud": fraud, "note": ""}
    values.store.apply([keys.judged(record, 1)])


async def queue(client: httpx.AsyncClient, query: str = "") -> tuple[list[str], str | None]:
    answer = await client.get(f"/v1/fraud/reviews{query}", headers=KEY)
    assert answer.status_code == 200
    return [one["transaction_id"] for one in answer.json()["reviews"]], answer.json()["next"]


async def verdict(
    client: httpx.AsyncClient, name: str = "a", *, fraud: bool = True, **more: Any
) -> httpx.Response:
    path = f"/v1/fraud/transactions/{name}/verdict"
    return await client.post(path, json={"fraud": fraud, **more}, headers=KEY)


async def test_the_queue_has_reviews_without_a_verdict_newest_first(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    for number, decision in enumerate(["review", "approve", "review", "block", "review"]):
        scored(values, score(f"p{number}", number, decision))
    judged(values, "p2", fraud=False)
    assert await queue(client) == (["p4", "p0"], None)


async def test_pages_lead_through_the_whole_queue(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    for number in range(23):
        scored(values, score(f"p{number:02}", number // 4))  # four at a time
    judged(values, "p21", fraud=True)
    seen, cursor, pages = [], "", 0
    while True:
        names, following = await queue(client, f"?limit=5{cursor}")
        seen += names
        pages += 1
        if following is None:
            break
        cursor = f"&cursor={following}"
    assert seen == [f"p{number:02}" for number in reversed(range(23)) if number != 21]
    assert pages == 5


async def test_a_cursor_holds_while_the_queue_grows(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    for number in range(4):
        scored(values, score(f"p{number}", number))
    first, cursor = await queue(client, "?limit=2")
    scored(values, score("new", 9))
    judged(values, "p2", fraud=True)
    assert (first, await queue(client, f"?cursor={cursor}")) == (["p3", "p2"], (["p1", "p0"], None))


@pytest.mark.parametrize("query", ["?cursor=%21%21", "?cursor=YQ", "?limit=0", "?limit=x"])
async def test_a_wrong_query_is_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/v1/fraud/reviews{query}", headers=KEY)
    assert answer.status_code == 422


async def test_a_payment_that_lost_against_an_earlier_decision_is_not_listed(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    scored(values, score("a", 1, "approve"))
    scored(values, score("a", 1, "review"))  # again, by another model
    assert await queue(client) == ([], None)


async def test_a_verdict_becomes_an_event_and_leaves_the_queue(
    client: httpx.AsyncClient, values: MemoryValues, gateway: FakeGateway
) -> None:
    scored(values, score("a", 1))
    answer = await verdict(client, note="called the customer")
    assert answer.status_code == 202
    ((key, record),) = gateway.produced
    assert key == "c1"
    assert record == {
        "transaction_id": "a",
        "customer_id": "c1",
        "terminal_id": "m1",
        "event_time": record["event_time"],
        "is_fraud": True,
        "note": "called the customer",
    }
    assert await queue(client) == ([], None)


async def test_repeating_a_verdict_changes_nothing(
    client: httpx.AsyncClient, values: MemoryValues, gateway: FakeGateway
) -> None:
    scored(values, score("a", 1))
    first = await verdict(client)
    again = await verdict(client)
    assert (again.status_code, again.json()) == (200, first.json())
    assert len(gateway.produced) == 1


async def test_the_opposite_verdict_needs_revise(
    client: httpx.AsyncClient, values: MemoryValues, gateway: FakeGateway
) -> None:
    scored(values, score("a", 1))
    future = START * 2  # known by a clock that is ahead
    judged(values, "a", fraud=True, at=future)
    answer = await verdict(client, fraud=False)
    path = "/v1/fraud/transactions/a/verdict"
    assert_problem(answer, 409, "the verdict on transaction a is fraud", path)
    assert gateway.produced == []
    assert (await verdict(client, fraud=False, revise=True)).status_code == 202
    assert gateway.produced[0][1]["event_time"] == future + 1
    assert (await verdict(client, fraud=True)).status_code == 409


async def test_a_verdict_on_an_unknown_payment_is_refused(
    client: httpx.AsyncClient, gateway: FakeGateway
) -> None:
    assert (await verdict(client, "nobody")).status_code == 404
    assert gateway.produced == []


async def test_a_verdict_that_may_not_have_arrived_is_repeated_to_the_byte(
    client: httpx.AsyncClient, values: MemoryValues, gateway: FakeGateway
) -> None:
    scored(values, score("a", 1))
    gateway.confirm = AwayError("timed out")
    assert (await verdict(client)).status_code == 503
    assert await queue(client) == (["a"], None)
    gateway.confirm = True
    assert (await verdict(client)).status_code == 202
    assert gateway.produced[0] == gateway.produced[1]


@pytest.mark.parametrize("body", [{"fraud": 1}, {}, {"fraud": True, "more": 1}, {"fraud": "yes"}])
async def test_a_verdict_is_a_boolean(
    client: httpx.AsyncClient, values: MemoryValues, body: dict[str, Any]
) -> None:
    scored(values, score("a", 1))
    answer = await client.post("/v1/fraud/transactions/a/verdict", json=body, headers=KEY)
    assert answer.status_code == 422


async def test_a_case_tells_features_in_words(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    record = score("a/b", 1, "block")
    scored(values, record, customer_ratio_30d=4.2, customer_mean_7d=None)
    judged(values, "a/b", fraud=True)
    answer = await client.get("/v1/fraud/reviews/a%2Fb", headers=KEY)
    body = answer.json()
    assert body["payment"]["decision"] == "block"
    assert body["verdict"] == {"fraud": True, "note": "", "known_at": "2023-11-14T22:13:20.000Z"}
    assert body["features"][0] == {
        "name": "customer_ratio_30d",
        "value": 4.2,
        "text": "Amount is 4.2 times this customer's 30-day mean",
    }
    assert body["features"][1]["text"].endswith("not known")
    assert (await client.get("/v1/fraud/reviews/other", headers=KEY)).status_code == 404


async def test_a_history_has_verdicts(client: httpx.AsyncClient, values: MemoryValues) -> None:
    for number in range(60):
        scored(values, score(f"p{number}", number, "approve", "c/7"))
    judged(values, "p58", fraud=True)
    path = "/v1/fraud/customers/c%2F7/payments"
    body = (await client.get(path, headers=KEY)).json()
    assert [one["transaction_id"] for one in body["payments"]] == [
        f"p{number}" for number in range(59, 9, -1)
    ]
    assert [one["verdict"] and one["verdict"]["fraud"] for one in body["payments"][:3]] == [
        None,
        True,
        None,
    ]
    few = await client.get(f"{path}?limit=2", headers=KEY)
    assert len(few.json()["payments"]) == 2
    assert (await client.get(f"{path}?limit=51", headers=KEY)).status_code == 422
    assert (await client.get("/v1/fraud/customers/x/payments", headers=KEY)).status_code == 404
    customer = await client.get("/v1/fraud/customers/c%2F7", headers=KEY)
    assert orjson.loads(customer.content)["latest"]["transaction_id"] == "p59"

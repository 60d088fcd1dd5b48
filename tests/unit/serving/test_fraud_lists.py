"""Lists of blocked and trusted entities: what they decide, how they are kept, and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from config.files import write
from domain.events import Decision
from domain.fraud.lists import Entry, Lists, decided
from domain.fraud.rules import Rule
from domain.times import iso
from ingestion import schema
from ingestion.fraud.rules import watched
from ingestion.kafka.tail import Line
from ingestion.wire.codec import RecordEncoder
from orchestration.shelf.shelf import Shelf
from serving.api.app import create
from serving.api.context import Context
from serving.api.gateway import AwayError, Gateway
from serving.fraud import listing
from serving.fraud.consumer import TRAIN, Fraud
from serving.fraud.lists import KnownLists
from serving.fraud.model import accept
from serving.fraud.ruling import Rulings
from tests.unit.serving.api_parts import KEY, FakeGateway, assert_problem
from tests.unit.serving.conftest import WriteModel
from tests.unit.serving.test_fraud import row, scored

BLOCKED = Entry("blocked", "customer", "c1", 1)
TRUSTED = Entry("trusted", "terminal", "m1", 1)
REVIEW, BLOCK = Rule("r", "Why", (), "review"), Rule("b", "Why", (), "block")


@pytest.mark.parametrize(
    ("model", "listed", "hits", "stands"),
    [
        ("approve", [BLOCKED], [], "block"),
        ("block", [TRUSTED], [], "approve"),
        ("review", [TRUSTED], [], "approve"),
        ("block", [BLOCKED, TRUSTED], [], "block"),
        ("block", [TRUSTED], [REVIEW], "review"),
        ("approve", [TRUSTED], [BLOCK], "block"),
        ("review", [], [], "review"),
        ("approve", [], [REVIEW], "review"),
    ],
)
def test_precedence(
    model: Decision, listed: list[Entry], hits: list[Rule], stands: Decision
) -> None:
    assert decided(model, listed, hits) == stands


def test_an_entry_holds_until_it_expires_or_is_removed_or_replaced() -> None:
    lists = Lists()
    lists.put(Entry("blocked", "terminal", "m/1", 10, until=20).record(), 0)
    payment = {"customer_id": "m/1", "terminal_id": "m/1"}
    assert [one.place for one in lists.of(payment, 19)] == ["blocked/terminal"]
    assert lists.of(payment, 20) == []
    lists.put(Entry("blocked", "terminal", "m/1", 30).record(), 1)
    assert len(lists.of(payment, 10**15)) == 1
    lists.remove("blocked/terminal/m%2F1", 2)
    lists.remove("trusted/terminal/unknown", 3)
    assert (lists.of(payment, 40), lists.offset) == ([], 3)


def line(offset: int, entry: Entry | None = None, key: str = "", reason: str = "empty") -> Line:
    if entry is None:
        return Line(0, offset, 1, key.encode(), reason=reason)
    return Line(0, offset, 1, entry.entry_id.encode(), entry.record(), "FraudListEntry")


def test_what_follows_from_the_topic() -> None:
    known = KnownLists()
    assert "not read yet" in (known.missing() or "")
    known.take(line(0, BLOCKED))
    known.take(line(1, TRUSTED))
    known.take(line(2, key=TRUSTED.entry_id))
    known.take(line(3, key=BLOCKED.entry_id, reason="bad_magic"))
    known.caught_up()
    assert known.missing() is None
    found, offset = known.of([{"customer_id": "c1", "terminal_id": "m1"}], 5)
    assert ([one.place for one in found[0]], offset) == (["blocked/customer"], 2)
    assert known.get("trusted", "terminal", "m1", 5) is None


def test_entries_fit_their_contract() -> None:
    encoder = RecordEncoder(schema.load("FraudListEntry"))
    assert encoder.record(BLOCKED.record())
    assert encoder.record(Entry("trusted", "terminal", "m1", 1, 5, "ada", "why").record())


@pytest.fixture
def fraud(tmp_path: Path, write_model: WriteModel) -> Fraud:
    write_model("m1")
    file = tmp_path / "rules.yaml"
    when = "[{field: customer_count_1h, gt: 5}]"
    write(file, f"rules: [{{name: many, words: Many, action: review, when: {when}}}]")
    shelf = Shelf(tmp_path, accept, TRAIN)
    shelf.refresh()
    known = KnownLists()
    known.take(line(6, BLOCKED))
    known.take(line(7, TRUSTED))
    rulings = Rulings(watched(file, lambda: 0.0), known)
    made = Fraud(shelf, now=lambda: 1_700_000_001.0075, rulings=rulings)
    assert "lists of entities" in (made.missing() or "")
    known.caught_up()
    assert made.missing() is None
    return made


def test_a_blocked_customer_is_blocked_and_the_record_says_why(fraud: Fraud) -> None:
    registry = CollectorRegistry()
    fraud.register(registry)
    (result,) = fraud.handle([row(amount=3.0)])
    record = scored(result)
    assert (record["decision"], record["model_decision"]) == ("block", "approve")
    assert record["listed"] == ["blocked/customer", "trusted/terminal"]
    assert record["lists_offset"] == 7
    assert record["reasons"] == ["list:blocked/customer"]
    assert record["explanations"] == ["The customer is on the list of blocked customers"]
    count = registry.get_sample_value(
        "millrace_listed_payments_total", {"list": "blocked", "kind": "customer"}
    )
    assert count == 1.0


def test_a_trusted_terminal_lowers_what_the_model_blocks_but_not_what_a_rule_reviews(
    fraud: Fraud,
) -> None:
    results = fraud.handle(
        [row("t1", customer_id="c2"), row("t2", customer_id="c2", customer_count_1h=6)]
    )
    lowered, ruled = (scored(result) for result in results)
    assert (lowered["decision"], lowered["model_decision"]) == ("approve", "block")
    assert (lowered["reasons"], lowered["listed"]) == ([], ["trusted/terminal"])
    assert (ruled["decision"], ruled["reasons"][0]) == ("review", "rule:many")


# The API


@pytest.fixture
def known() -> KnownLists:
    made = KnownLists()
    made.caught_up()
    return made


@pytest.fixture
def application(context: Context, gateway: FakeGateway, known: KnownLists) -> FastAPI:
    context.parts[listing.PART] = listing.Listing(cast("Gateway", gateway), known)
    return create(context, [listing])


def followed(gateway: FakeGateway, known: KnownLists) -> None:
    """What the follower would take up of what was produced."""
    for offset, (key, record) in enumerate(gateway.produced):
        value = cast("Mapping[str, Any] | None", record)
        if value is None:
            known.take(line(offset, key=key))
        else:
            known.take(Line(0, offset, 1, key.encode(), dict(value), "FraudListEntry"))


PATH = "/v1/fraud/lists/blocked/terminal"
BODY = {"id": "t/3", "until": "2126-05-01T00:00:00Z", "by": "ada", "note": "skimmed"}


@pytest.mark.anyio
async def test_an_entry_is_put_shown_repeated_and_removed(
    client: httpx.AsyncClient, gateway: FakeGateway, known: KnownLists
) -> None:
    assert (await client.post(PATH, json=BODY)).status_code == 401
    assert (await client.delete(f"{PATH}/t%2F3")).status_code == 401
    answer = await client.post(PATH, json=BODY, headers=KEY)
    assert (answer.status_code, answer.json()["until"]) == (202, "2126-05-01T00:00:00.000Z")
    ((key, record),) = gateway.produced
    assert key == "blocked/terminal/t%2F3" == record["entry_id"]
    followed(gateway, known)

    shown = await client.get(f"{PATH}/t%2F3", headers=KEY)
    assert shown.json() == answer.json()
    again = await client.post(PATH, json=BODY, headers=KEY)
    assert (again.status_code, again.json()) == (200, answer.json())
    assert len(gateway.produced) == 1
    changed = await client.post(PATH, json={**BODY, "until": None}, headers=KEY)
    assert (changed.status_code, changed.json()["until"]) == (202, None)

    for _ in range(2):
        assert (await client.delete(f"{PATH}/t%2F3", headers=KEY)).status_code == 204
    removed: tuple[str, Any] = gateway.produced[-1]
    assert removed == ("blocked/terminal/t%2F3", None)
    followed(gateway, known)
    gone = await client.get(f"{PATH}/t%2F3", headers=KEY)
    assert_problem(gone, 404, "terminal t/3 is not on the list blocked", f"{PATH}/t/3")


@pytest.mark.anyio
async def test_a_list_is_read_by_pages_without_what_has_expired(
    client: httpx.AsyncClient, known: KnownLists
) -> None:
    for offset in range(5):
        known.take(line(offset, Entry("blocked", "terminal", f"t{offset}", 1)))
    known.take(line(5, Entry("blocked", "terminal", "t2", 1, until=2)))
    first = (await client.get(PATH, params={"limit": 2}, headers=KEY)).json()
    assert ([one["id"] for one in first["entries"]], first["next"]) == (["t0", "t1"], "t1")
    rest = (await client.get(PATH, params={"limit": 2, "after": "t1"}, headers=KEY)).json()
    assert ([one["id"] for one in rest["entries"]], rest["next"]) == (["t3", "t4"], None)
    other = (await client.get("/v1/fraud/lists/trusted/customer", headers=KEY)).json()
    assert other == {"entries": [], "next": None}


@pytest.mark.anyio
async def test_what_is_refused(client: httpx.AsyncClient, gateway: FakeGateway) -> None:
    past = iso(int(datetime(2020, 1, 1, tzinfo=UTC).timestamp() * 1000))
    for body, why in (
        ({"id": ""}, "body.id"),
        ({"id": "t", "until": past}, "body.until: not after now"),
        ({"id": "t", "until": "2126-05-01T00:00:00"}, "body.until"),
        ({"id": "t", "days": 3}, "body.days"),
    ):
        assert_problem(await client.post(PATH, json=body, headers=KEY), 422, why, PATH)
    for path in ("/v1/fraud/lists/grey/terminal", "/v1/fraud/lists/blocked/country"):
        answer = await client.post(path, json=BODY, headers=KEY)
        assert_problem(answer, 422, "path.", path)
    assert gateway.produced == []
    gateway.confirm = AwayError("broker gone")
    assert_problem(await client.post(PATH, json=BODY, headers=KEY), 503, "broker gone", PATH)


@pytest.mark.anyio
async def test_nothing_is_said_before_the_lists_are_read(
    client: httpx.AsyncClient, context: Context, gateway: FakeGateway
) -> None:
    context.parts[listing.PART] = listing.Listing(cast("Gateway", gateway), KnownLists())
    assert_problem(await client.get(PATH, headers=KEY), 503, "not read yet", PATH)

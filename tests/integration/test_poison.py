"""A thousand poison messages among a hundred thousand good ones.

The job never restarts, nothing good is lost.
"""

from __future__ import annotations

import base64
import io
import json
import struct
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import fastavro
import pytest
import redis

from config.settings import Settings
from domain.events import Transaction
from ingestion import schema
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec, plain
from ingestion.wire.registry import Registry
from millrace.stack.harness import Stack
from tests.integration.parts import ends, plug, read, restarts, send, stored, until

GOOD, POISON = 100_000, 1_000
AHEAD = 4_000_000_000_000


def _poisons(stack: Settings, codec: Codec, run: str) -> list[tuple[str, Callable[[int], bytes]]]:
    """Reasons, each with a maker of such bytes, given a number that makes them unique.

    What is merely refused names a customer and a terminal that good payments have: it must leave no
    trace on them.
    """

    def record(number: int) -> dict[str, object]:
        return {
            "transaction_id": f"{run}-bad-{number}",
            "event_time": 1_760_000_000_000,
            "customer_id": f"{run}-c1",
            "terminal_id": f"{run}-t1",
            "amount": 10.0,
        }

    def good(number: int) -> bytes:
        return codec.encode("transactions", record(number))

    def microseconds(number: int) -> bytes:
        body = io.BytesIO()
        fastavro.schemaless_writer(
            body, transaction, {**record(number), "event_time": 1_760_000_000_000_000}
        )
        return good(number)[:5] + body.getvalue()

    def ahead(number: int) -> bytes:
        """A payment of the year 2096: entering the windows, it would make every other one late."""
        return codec.encode("transactions", {**record(number), "event_time": AHEAD})

    def verdict_ahead(number: int) -> bytes:
        label = {**record(number), "event_time": AHEAD, "is_fraud": True}
        del label["amount"]
        return codec.encode("transactions", label, "FraudLabel")

    transaction = fastavro.parse_schema(plain(schema.load("Transaction")))
    other = schema.load("Transaction")
    next(field for field in other["fields"] if field["name"] == "amount")["type"] = "string"
    with Registry(stack.registry_url) as registry:
        wrong_types = registry.register(f"{run}-other-value", json.dumps(other))
    nan = struct.pack("<d", float("nan"))
    return [
        ("empty", lambda number: b""),
        ("short", lambda number: b"\x00\x00"),
        ("bad_magic", lambda number: b"\x07" + good(number)[1:]),
        ("unknown_schema", lambda number: b"\x00\x7f\xff\xff\xf0" + good(number)[5:]),
        ("truncated", lambda number: good(number)[:-3]),
        ("trailing_bytes", lambda number: good(number) + b"!"),
        ("malformed", lambda number: good(number)[:5] + b"\xff" * 12),
        (
            "incompatible_schema",
            lambda number: struct.pack(">bI", 0, wrong_types) + good(number)[5:],
        ),
        ("refused", lambda number: good(number)[:-8] + nan),
        ("refused", microseconds),
        ("refused", ahead),
        ("refused", verdict_ahead),
    ]


def _payments(run: str, count: int = GOOD) -> list[Transaction]:
    return [
        Transaction(
            transaction_id=f"{run}-{place}",
            event_time=1_760_000_000_000 + place,
            customer_id=f"{run}-c{place % 997}",
            terminal_id=f"{run}-t{place % 499}",
            amount=float(place % 250),
        )
        for place in range(count)
    ]


def _register(stack: Settings, run: str, word: str) -> int:
    """The id of a schema that nobody has registered before.

    Transaction with another word in its doc string.
    """
    made = schema.load("Transaction")
    made["doc"] = f"{made['doc']} {run} {word}"
    with Registry(stack.registry_url) as registry:
        return registry.register(f"{run}-later-value", json.dumps(made))


def _send_early(sink: KafkaSink, codec: Codec, run: str, number: int) -> None:
    """A good payment whose schema id the registry does not know yet."""
    payment = replace(
        _payments(run, 1)[0], transaction_id=f"{run}-early", terminal_id=f"{run}-early"
    )
    good = codec.encoder("transactions").object(payment)
    sink.send("transactions", f"{run}-early", struct.pack(">bI", 0, number) + good[5:])


@pytest.mark.timeout(420)
def test_poison_is_set_aside_and_the_rest_goes_on(harness: Stack, stack: Settings) -> None:
    run = f"poison-{uuid.uuid4().hex[:8]}"
    payments, sent = _payments(run), Counter[str]()
    before, start = restarts(stack, "fraud_features"), ends(stack, "quarantine")
    with plug(stack) as (sink, codec):
        makers = _poisons(stack, codec, run)
        later = _register(stack, run, "One.") + 1
        _send_early(sink, codec, run, later)
        for place, payment in enumerate(payments):
            if place % (GOOD // POISON) == 0:
                reason, make = makers[place // (GOOD // POISON) % len(makers)]
                sink.send("transactions", f"{run}-poison", make(place))
                sent[reason] += 1
            send(sink, codec, [payment])
        sink.flush()
        assert sent.total() == POISON

        identities = [payment.transaction_id for payment in payments]
        with redis.Redis.from_url(stack.redis_url) as client:
            until(
                "every good one is scored",
                lambda: len(stored(client, identities)) == GOOD,
                timeout=300,
                pause=2.0,
            )
            assert not any(score["late"] for score in stored(client, identities).values())

        def quarantined() -> list[dict[str, Any]]:
            mine = f"{run}-poison".encode()
            return [
                record
                for record in read(stack, "quarantine", codec, start)
                if record["key"] == mine
            ]

        until("all poison is quarantined", lambda: len(quarantined()) >= POISON)
        records = quarantined()
        made = {make(place) for place in range(0, GOOD, GOOD // POISON) for _, make in makers}
    assert Counter(record["reason"] for record in records) == sent
    assert all(
        record["source_topic"] == "transactions" and record["job"] == "fraud_features"
        for record in records
    )
    assert (
        len({(record["source_partition"], record["source_offset"]) for record in records}) == POISON
    )
    assert {record["value"] for record in records if record["reason"] != "empty"} <= made, (
        "the bytes are kept whole"
    )
    assert restarts(stack, "fraud_features") == before
    _listed_and_shown(harness, records)
    _replayed_once_it_can_be_read(harness, run, later)


def _listed_and_shown(harness: Stack, records: list[dict[str, Any]]) -> None:
    listed = json.loads(
        harness.cli("quarantine", "list", "--json", "--limit", "0", "--topic", "transactions")
    )
    told = {one["id"]: one["reason"] for one in listed["records"]}
    mine = {
        f"transactions/{one['source_partition']}/{one['source_offset']}": one for one in records
    }
    assert {place: told[place] for place in mine} == {
        place: one["reason"] for place, one in mine.items()
    }
    place, one = next((place, one) for place, one in mine.items() if one["reason"] == "truncated")
    shown = json.loads(harness.cli("quarantine", "show", place, "--json"))
    assert base64.b64decode(shown["value_base64"]) == one["value"]
    assert shown["unreadable_now"].startswith("truncated")


def _replayed_once_it_can_be_read(harness: Stack, run: str, later: int) -> None:
    """A producer was ahead of the registry; its schema comes, and the payment is scored."""
    listed = json.loads(
        harness.cli("quarantine", "list", "--json", "--limit", "0", "--reason", "unknown_schema")
    )
    (place,) = (one["id"] for one in listed["records"] if one["key"] == f"{run}-early")
    assert _register(harness.settings, run, "Two.") == later
    assert json.loads(harness.cli("quarantine", "replay", place, "--json"))["replayed"] == [place]
    with redis.Redis.from_url(harness.settings.redis_url) as client:
        scored = until("it is scored", lambda: stored(client, [f"{run}-early"]))
    assert not scored[f"{run}-early"]["late"]

"""A thousand poison messages among a hundred thousand good ones: the job never restarts, nothing good is lost."""

from __future__ import annotations

import io
import json
import struct
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import fastavro
import pytest
import redis

from config.settings import Settings
from domain.events import Transaction
from ingestion import schema
from ingestion.avro import Codec, plain
from ingestion.registry import Registry
from tests.integration.parts import ends, plug, read, restarts, send, stored, until

GOOD, POISON = 100_000, 1_000


def _poisons(stack: Settings, codec: Codec, run: str) -> list[tuple[str, Callable[[int], bytes]]]:
    """Reasons, each with a maker of such bytes, given a number that makes them unique.

    What is merely refused names a customer and a terminal that good payments have: it must leave no trace on them.
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
        fastavro.schemaless_writer(body, transaction, {**record(number), "event_time": 1_760_000_000_000_000})
        return good(number)[:5] + body.getvalue()

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
        ("incompatible_schema", lambda number: struct.pack(">bI", 0, wrong_types) + good(number)[5:]),
        ("refused", lambda number: good(number)[:-8] + nan),
        ("refused", microseconds),
    ]


def _payments(run: str) -> list[Transaction]:
    return [
        Transaction(
            transaction_id=f"{run}-{place}",
            event_time=1_760_000_000_000 + place,
            customer_id=f"{run}-c{place % 997}",
            terminal_id=f"{run}-t{place % 499}",
            amount=float(place % 250),
        )
        for place in range(GOOD)
    ]


@pytest.mark.timeout(420)
def test_poison_is_set_aside_and_the_rest_goes_on(stack: Settings, model: object) -> None:
    run = f"poison-{uuid.uuid4().hex[:8]}"
    payments, sent = _payments(run), Counter[str]()
    before, start = restarts(stack, "fraud_features"), ends(stack, "quarantine")
    with plug(stack) as (sink, codec):
        makers = _poisons(stack, codec, run)
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
            until("every good one is scored", lambda: len(stored(client, identities)) == GOOD, timeout=300, pause=2.0)
            assert not any(score["late"] for score in stored(client, identities).values())

        def quarantined() -> list[dict[str, Any]]:
            mine = f"{run}-poison".encode()
            return [record for record in read(stack, "quarantine", codec, start) if record["key"] == mine]

        until("all poison is quarantined", lambda: len(quarantined()) >= POISON)
        records = quarantined()
        made = {make(place) for place in range(0, GOOD, GOOD // POISON) for _, make in makers}
    assert Counter(record["reason"] for record in records) == sent
    assert all(record["source_topic"] == "transactions" and record["job"] == "fraud_features" for record in records)
    assert len({(record["source_partition"], record["source_offset"]) for record in records}) == POISON
    assert {record["value"] for record in records if record["reason"] != "empty"} <= made, "the bytes are kept whole"
    assert restarts(stack, "fraud_features") == before

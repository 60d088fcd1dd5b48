"""Hands for tests that look at card fraud: send payments, and read what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
import redis
from redis.client import Pipeline

from config.settings import Settings
from domain.events import FraudLabel, Transaction
from ingestion.kafka.producer import Sink
from ingestion.wire.codec import Codec
from serving.fraud import keys
from tests.integration.parts import group, messages, through

JOB, CONSUMER = "fraud_features", "fraud"
JOB_GROUP, CONSUMER_GROUP = group(JOB), group(CONSUMER)


def send(sink: Sink, codec: Codec, records: Iterable[Transaction | FraudLabel]) -> None:
    """Produce payments and verdicts, in this order, to their log."""
    for record in records:
        encoder = codec.encoder("transactions", type(record).__name__)
        sink.send("transactions", record.customer_id, encoder.object(record))


def payments_are_through(stack: Settings, timeout: float = 120.0) -> None:
    """Wait until the job has read all present payments and the consumer their features."""
    through(stack, (JOB, "transactions"), (CONSUMER, "fraud-features"), timeout=timeout)


def logged(
    stack: Settings, codec: Codec, start: dict[int, int], name: str = "Transaction"
) -> list[dict[str, Any]]:
    """Return the payments in their log from `start`, or with `name` FraudLabel the verdicts."""
    sent = (
        codec.decoded("transactions", message.value())
        for message in messages(stack, "transactions", start)
    )
    return [one.record for one in sent if one.name == name]


def stored(client: redis.Redis, identities: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the stored decision of each transaction that has one."""
    wanted = list(identities)
    found = _pipelined(client, wanted, lambda ask, one: ask.hget(keys.transaction(one), "d"))
    return {
        identity: orjson.loads(data)
        for identity, data in zip(wanted, found, strict=True)
        if data is not None
    }


def decisions(
    client: redis.Redis, identities: Iterable[str], customers: Iterable[str]
) -> dict[str, object]:
    """Return every stored byte of transactions and customers.

    Their keys' hashes, and the customers' recent decisions.
    """
    customers = list(customers)
    hashes = [keys.transaction(one) for one in identities] + [keys.latest(one) for one in customers]
    recent = [keys.recent(one) for one in customers]
    found = [
        *_pipelined(client, hashes, lambda ask, key: ask.hgetall(key)),
        *_pipelined(client, recent, lambda ask, key: ask.zrange(key, 0, -1, withscores=True)),
    ]
    return dict(zip([*hashes, *recent], found, strict=True))


def _pipelined(
    client: redis.Redis, names: Sequence[str], ask: Callable[[Pipeline, str], object]
) -> list[Any]:
    """Return the answers for the names, a thousand at a time."""
    found: list[Any] = []
    for place in range(0, len(names), 1000):
        pipeline = client.pipeline(transaction=False)
        for name in names[place : place + 1000]:
            ask(pipeline, name)
        found += pipeline.execute()
    return found

"""Hands for tests that disturb the stack.

Kill a part, wait for a condition, read what is stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import redis
from confluent_kafka import Consumer, Message, TopicPartition

from config.settings import Settings
from domain.events import FraudLabel, Transaction
from ingestion.kafka.producer import KafkaSink, Sink
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from serving.fraud import keys

JOB_GROUP, CONSUMER_GROUP = "millrace-fraud_features", "millrace-fraud"


def until(what: str, holds: Callable[[], Any], timeout: float = 120.0, pause: float = 0.2) -> Any:
    """Wait for a truthy answer and return it.

    Fail with `what` and the last answer after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"not within {timeout:.0f} s: {what} (last: {answer!r})"
        time.sleep(pause)
    return answer


def restarts(stack: Settings, job: str) -> int:
    """How often Flink has restarted a job; waits while it is just restarting."""
    with httpx.Client(base_url=stack.flink_rest, timeout=10) as flink:

        def metric() -> list[dict[str, str]]:
            jobs = flink.get("/jobs/overview").json()["jobs"]
            running = [
                one["jid"] for one in jobs if one["name"] == job and one["state"] == "RUNNING"
            ]
            if not running:
                return []
            found: list[dict[str, str]] = flink.get(
                f"/jobs/{running[0]}/metrics?get=numRestarts"
            ).json()
            return found

        return int(float(until(f"{job} runs and tells its restarts", metric)[0]["value"]))


def send(sink: Sink, codec: Codec, records: Iterable[Transaction | FraudLabel]) -> None:
    """Produce payments and verdicts, in this order, to their log."""
    for record in records:
        encoder = codec.encoder("transactions", type(record).__name__)
        sink.send("transactions", record.customer_id, encoder.object(record))


@contextmanager
def plug(stack: Settings) -> Iterator[tuple[KafkaSink, Codec]]:
    """A real sink, flushed at the end, and a codec on the real registry."""
    with (
        Registry(stack.registry_url) as registry,
        KafkaSink(stack.kafka_bootstrap, client_id="tests") as sink,
    ):
        yield sink, Codec(registry)


def ends(stack: Settings, topic: str) -> dict[int, int]:
    """The end offset of each partition."""
    consumer = Consumer({"bootstrap.servers": stack.kafka_bootstrap, "group.id": "tests-ends"})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        return {
            p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1]
            for p in partitions
        }
    finally:
        consumer.close()


def caught_up(stack: Settings, group: str, topic: str) -> bool:
    """Whether a consumer group has committed everything that a topic holds now."""
    end = ends(stack, topic)
    consumer = Consumer(
        {"bootstrap.servers": stack.kafka_bootstrap, "group.id": group, "enable.auto.commit": False}
    )
    try:
        committed = consumer.committed([TopicPartition(topic, p) for p in end], timeout=10)
        return all(max(one.offset, 0) >= end[one.partition] for one in committed)
    finally:
        consumer.close()


def payments_are_through(stack: Settings) -> None:
    """Wait until the job has read all present payments and the consumer their features."""
    until("the job has read the payments", lambda: caught_up(stack, JOB_GROUP, "transactions"))
    until(
        "the consumer has read their features",
        lambda: caught_up(stack, CONSUMER_GROUP, "fraud-features"),
    )


def messages(stack: Settings, topic: str, start: dict[int, int] | None = None) -> Iterator[Message]:
    """Every message of a topic from `start` (default: its beginning) to its present end.

    Partition by partition, in order.
    """
    end = ends(stack, topic)
    consumer = Consumer(
        {
            "bootstrap.servers": stack.kafka_bootstrap,
            "group.id": "tests-read",
            "enable.auto.commit": False,
        }
    )
    try:
        for partition, last in end.items():
            first = (start or {}).get(partition, 0)
            consumer.assign([TopicPartition(topic, partition, first)])
            position = first
            while position < last:
                for message in consumer.consume(10_000, timeout=1.0):
                    assert message.error() is None, message.error()
                    position = message.offset() + 1
                    yield message
    finally:
        consumer.close()


def read(
    stack: Settings, topic: str, codec: Codec, start: dict[int, int] | None = None
) -> list[dict[str, Any]]:
    """Every record of a topic from `start` (default: its beginning) to its present end, decoded."""
    return [codec.decode(topic, message.value()) for message in messages(stack, topic, start)]


def logged(
    stack: Settings, codec: Codec, start: dict[int, int], name: str = "Transaction"
) -> list[dict[str, Any]]:
    """The payments in their log from `start` on, or with `name` FraudLabel the verdicts."""
    sent = (
        codec.decoded("transactions", message.value())
        for message in messages(stack, "transactions", start)
    )
    return [one.record for one in sent if one.name == name]


def stored(client: redis.Redis, identities: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The stored decision of each transaction that has one."""
    wanted = list(identities)
    found: dict[str, dict[str, Any]] = {}
    for chunk in (wanted[place : place + 1000] for place in range(0, len(wanted), 1000)):
        pipeline = client.pipeline(transaction=False)
        for identity in chunk:
            pipeline.hget(keys.transaction(identity), "d")
        for identity, data in zip(chunk, pipeline.execute(), strict=True):
            if data is not None:
                found[identity] = orjson.loads(data)
    return found


def decisions(
    client: redis.Redis, identities: Iterable[str], customers: Iterable[str]
) -> dict[str, object]:
    """Every stored byte of transactions and customers.

    Their keys' hashes, and the customers' recent decisions.
    """
    customers = list(customers)
    hashes = [keys.transaction(one) for one in identities] + [keys.latest(one) for one in customers]
    found: dict[str, object] = {key: client.hgetall(key) for key in hashes}
    return found | {
        key: client.zrange(key, 0, -1, withscores=True)
        for key in (keys.recent(c) for c in customers)
    }

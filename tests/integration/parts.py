"""Hands for tests that disturb the stack.

Kill a part, wait for a condition, read what is stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
from confluent_kafka import Consumer, Message, TopicPartition

from config.settings import Settings
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry


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
    """Return how often Flink has restarted a job, waiting while it is just restarting."""
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


def group(name: str) -> str:
    """Return the consumer group of a job or a consumer."""
    return f"millrace-{name}"


@contextmanager
def plug(stack: Settings) -> Iterator[tuple[KafkaSink, Codec]]:
    """Open a real sink, flushed at the end, and a codec on the real registry."""
    with (
        Registry(stack.registry_url) as registry,
        KafkaSink(stack.kafka_bootstrap, client_id="tests") as sink,
    ):
        yield sink, Codec(registry)


def ends(stack: Settings, topic: str) -> dict[int, int]:
    """Return the end offset of each partition."""
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
    """Return whether a consumer group has committed everything that a topic holds now."""
    end = ends(stack, topic)
    consumer = Consumer(
        {"bootstrap.servers": stack.kafka_bootstrap, "group.id": group, "enable.auto.commit": False}
    )
    try:
        committed = consumer.committed([TopicPartition(topic, p) for p in end], timeout=10)
        return all(max(one.offset, 0) >= end[one.partition] for one in committed)
    finally:
        consumer.close()


def through(stack: Settings, *hops: tuple[str, str], timeout: float = 120.0) -> None:
    """Wait until all that is in the topics now has passed the hops.

    A hop is the name of a job or a consumer, and a topic that it reads; in the data's order.
    """
    for name, topic in hops:
        until(
            f"{name} has read {topic}",
            partial(caught_up, stack, group(name), topic),
            timeout,
        )


@contextmanager
def paced(steps: Iterator[object], rate: float) -> Iterator[None]:
    """Take `rate` steps a second, in a thread of its own, while the body runs."""
    done = threading.Event()

    def advance() -> None:
        began = time.monotonic()
        for place, _ in enumerate(steps):
            if done.wait(max(0.0, began + place / rate - time.monotonic())):
                return

    thread = threading.Thread(target=advance)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=120)
    assert not thread.is_alive()


def messages(stack: Settings, topic: str, start: dict[int, int] | None = None) -> Iterator[Message]:
    """Yield a topic's messages from `start` (default: its beginning) to its present end.

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
    stack: Settings,
    topic: str,
    codec: Codec,
    start: dict[int, int] | None = None,
    key: Callable[[str], bool] | None = None,
) -> list[dict[str, Any]]:
    """Decode a topic's records from `start` (default: its beginning) to its present end.

    With `key`, only those whose key it takes.
    """
    return [
        codec.decode(topic, message.value())
        for message in messages(stack, topic, start)
        if key is None or key(message.key().decode())
    ]

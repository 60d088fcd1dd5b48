from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from config.errors import RetryableError
from ingestion.avro import UnreadableError
from serving.consumers.health import Health
from serving.consumers.loop import Loop, Pace
from serving.consumers.metrics import Metrics
from serving.consumers.product import Incoming, Result
from serving.store import MemoryStore, Stored, Write
from tests.unit.serving.kafka_fake import FakeConsumer, FakeMessage, FakeProducer

FAST = Pace(idle=0.001, commit=0.0, first_retry=0.001, last_retry=0.002, lag=0.0, stop=0.01)


class JsonCodec:
    """JSON in place of Avro; `no` is unreadable; away for the first `away` calls."""

    def __init__(self, away: int = 0) -> None:
        self.away = away

    def decode(self, _: str, value: bytes | None) -> dict[str, Any]:
        if self.away:
            self.away -= 1
            raise RetryableError("registry is away")
        if value == b"no":
            raise UnreadableError("malformed", "it says no")
        record: dict[str, Any] = json.loads(value or b"")
        return record

    def encode(self, _: str, record: dict[str, Any]) -> bytes:
        return json.dumps(record, default=lambda raw: raw.decode()).encode()


class Echo:
    name, topic = "echo", "fraud-features"
    output: str | None = "fraud-scores"

    def __init__(self) -> None:
        self.lacks: list[str] = []

    def missing(self) -> str | None:
        return self.lacks.pop() if self.lacks else None

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        return [
            Result(
                Write(f"e:{row.record['id']}", row.record["t"], row.offset, json.dumps(row.record).encode()),
                origin=row.timestamp,
                key=row.record["id"],
                record=row.record,
            )
            for row in batch
        ]

    def restore(self, data: bytes) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(data)
        return record


class Bench:
    """A loop over fakes that stops when its messages are used up."""

    def __init__(self, messages: list[FakeMessage], *, store: MemoryStore | None = None, **parts: Any) -> None:
        self.store = store or MemoryStore()
        self.producer = parts.pop("producer", FakeProducer())
        self.product = parts.pop("product", Echo())
        self.metrics, self.health = Metrics("echo"), Health(lambda: 0.0)
        self.consumer = FakeConsumer(messages, parts.pop("empty", lambda: self.loop.stop()))
        self.loop: Loop = Loop(
            self.product,
            self.consumer,
            self.producer,
            store=self.store,
            codec=parts.pop("codec", JsonCodec()),
            metrics=self.metrics,
            health=self.health,
            pace=FAST,
            now=lambda: 1.25,
            **parts,
        )

    def value(self, name: str) -> float:
        found = self.metrics.registry.get_sample_value(name, {"consumer": "echo"})
        assert found is not None
        return found


def message(name: str, offset: int, *, t: int = 1, partition: int = 0) -> FakeMessage:
    return FakeMessage(json.dumps({"id": name, "t": t}).encode(), offset, partition)


class FlakyStore(MemoryStore):
    """Away for the first calls."""

    def __init__(self, away: int, seen: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.away, self.seen = away, seen

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        if self.away:
            self.away -= 1
            self.seen()
            raise RetryableError("Redis is away")
        return super().apply(writes)


def test_values_records_offsets() -> None:
    bench = Bench([message("a", 7), message("b", 3, partition=1), message("c", 8)])
    bench.loop.run()
    assert {key: value.sequence for key, value in bench.store.values.items()} == {"e:a": 7, "e:b": 3, "e:c": 8}
    assert [(topic, key) for topic, key, _ in bench.producer.sent] == [
        ("fraud-scores", key) for key in (b"a", b"b", b"c")
    ]
    assert bench.consumer.committed == [{0: 9, 1: 4}]
    assert bench.consumer.closed


def test_a_batch_is_what_is_there() -> None:
    bench = Bench([message(str(number), number) for number in range(25)], batch=10)
    bench.loop.run()
    assert bench.value("millrace_consumer_batch_records_count") == 3
    assert bench.value("millrace_consumer_records_total") == 25


def test_latency_counts_from_the_origin() -> None:
    bench = Bench([message("a", 0)])
    bench.loop.run()
    assert bench.value("millrace_event_to_store_seconds_sum") == pytest.approx(0.25)


def test_the_stored_value_is_what_is_produced() -> None:
    bench = Bench([message("a", 1, t=1), message("a", 2, t=5)])
    bench.loop.run()
    assert [json.loads(value)["t"] for _, _, value in bench.producer.sent] == [1, 1]
    assert bench.value("millrace_consumer_kept_total") == 1


def test_store_away_loses_and_commits_nothing_meanwhile() -> None:
    seen: list[list[dict[int, int]]] = []
    bench = Bench([message("a", 0)], store=FlakyStore(3, lambda: seen.append(list(bench.consumer.committed))))
    bench.loop.run()
    assert seen == [[], [], []]
    assert bench.store.get("e:a") is not None
    assert bench.consumer.committed == [{0: 1}]
    assert bench.value("millrace_consumer_retries_total") == 3


def test_registry_away_is_waited_for() -> None:
    bench = Bench([message("a", 0)], codec=JsonCodec(away=2))
    bench.loop.run()
    assert bench.store.get("e:a") is not None


def test_stopped_while_the_store_is_away_commits_nothing() -> None:
    bench = Bench([message("a", 0)], store=FlakyStore(1000, lambda: bench.loop.stop()))
    with pytest.raises(RetryableError):
        bench.loop.run()
    assert bench.consumer.committed == []
    assert bench.consumer.closed


def test_poison_goes_to_quarantine_and_the_rest_goes_on() -> None:
    bench = Bench([message("a", 0), FakeMessage(b"no", 1), message("b", 2)])
    bench.loop.run()
    topic, key, value = bench.producer.sent[-1]
    quarantined = json.loads(value)
    assert (topic, key) == ("quarantine", b"fraud-features")
    assert (quarantined["reason"], quarantined["source_offset"], quarantined["value"]) == ("malformed", 1, "no")
    assert quarantined["job"] == "consumer/echo"
    assert set(bench.store.values) == {"e:a", "e:b"}
    assert bench.consumer.committed == [{0: 3}]


def test_nothing_is_committed_before_the_broker_confirmed() -> None:
    producer = FakeProducer()
    producer.mute = True
    bench = Bench([message("a", 0)], producer=producer)
    bench.loop.run()
    assert bench.store.get("e:a") is not None
    assert bench.consumer.committed == []


def test_a_record_given_up_stops_the_consumer() -> None:
    bench = Bench([message("a", 0)], producer=FakeProducer(error=KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)))
    with pytest.raises(KafkaException):
        bench.loop.run()
    assert bench.consumer.committed == []


def test_full_queue_is_waited_for() -> None:
    bench = Bench([message("a", 0)], producer=FakeProducer(full=3))
    bench.loop.run()
    assert len(bench.producer.sent) == 1


def test_waits_for_what_the_product_lacks() -> None:
    product = Echo()
    product.lacks = ["no model"]
    bench = Bench([message("a", 0)], product=product)
    bench.loop.run()
    assert bench.store.get("e:a") is not None
    assert bench.health.missing == {}


def test_client_errors_are_no_records() -> None:
    trouble = FakeMessage(None, 0, trouble=KafkaError(KafkaError._ALL_BROKERS_DOWN))
    bench = Bench([trouble, message("a", 0)])
    bench.loop.run()
    assert set(bench.store.values) == {"e:a"}


def test_a_fatal_client_error_stops() -> None:
    fatal = KafkaError(KafkaError._FATAL, "broken", True)
    bench = Bench([FakeMessage(None, 0, trouble=fatal)])
    with pytest.raises(KafkaException):
        bench.loop.run()


def test_revoked_partitions_are_committed_first_and_then_left_alone() -> None:
    def revoke() -> None:
        bench.consumer.callbacks["on_revoke"](bench.consumer, [TopicPartition("fraud-features", 0)])
        bench.consumer.messages.append(message("b", 9))  # was fetched before: handled, but no longer ours to commit
        bench.consumer.empty = bench.loop.stop

    bench = Bench([message("a", 0)], empty=revoke)
    bench.loop.run()
    assert set(bench.store.values) == {"e:a", "e:b"}
    assert bench.consumer.committed == [{0: 1}]


def test_lag_is_told() -> None:
    bench = Bench([message("a", 0)])
    bench.loop.run()
    labels = {"consumer": "echo", "partition": "1"}
    assert bench.metrics.registry.get_sample_value("millrace_consumer_lag_records", labels) == 7

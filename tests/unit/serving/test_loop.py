"""The order in which a consumer stores, produces and commits, and what it waits for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition

from config.errors import RetryableError
from serving.store import MemoryStore, Stored, StoreRestartedError, Write
from tests.unit.serving.kafka_fake import FakeMessage, FakeProducer
from tests.unit.serving.loops import Bench, Echo, JsonCodec, message


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
    assert {key: value.sequence for key, value in bench.store.values.items()} == {
        "e:a": 7,
        "e:b": 3,
        "e:c": 8,
    }
    assert [(topic, key) for topic, key, _ in bench.producer.sent] == [
        ("fraud-scores", key) for key in (b"a", b"b", b"c")
    ]
    assert bench.consumer.commits == [{0: 9, 1: 4}]
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
    bench = Bench(
        [message("a", 0)], store=FlakyStore(3, lambda: seen.append(list(bench.consumer.commits)))
    )
    bench.loop.run()
    assert seen == [[], [], []]
    assert bench.store.get("e:a") is not None
    assert bench.consumer.commits == [{0: 1}]
    assert bench.value("millrace_consumer_retries_total") == 3


class Restarting(MemoryStore):
    """Has started anew, or is away, when it is asked after a number of batches."""

    def __init__(self, error: Exception, batches: int = 0) -> None:
        super().__init__()
        self.error, self.batches, self.asked = error, batches, 0

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        if self.batches and len(self.values) >= self.batches:
            raise self.error
        return super().apply(writes)

    def check(self) -> None:
        self.asked += 1
        if not self.batches:
            raise self.error


def test_a_store_that_started_anew_ends_the_process_and_what_it_had_lately_is_not_committed() -> (
    None
):
    store = Restarting(StoreRestartedError("anew"), batches=1)
    store.trail = 60.0
    bench = Bench([message("a", 0), message("b", 1)], store=store, batch=1)
    with pytest.raises(StoreRestartedError):
        bench.loop.run()
    assert set(store.values) == {"e:a"}
    assert bench.consumer.commits == []
    assert bench.consumer.closed


def test_before_a_commit_the_store_is_asked_whether_it_is_still_the_same() -> None:
    store = Restarting(StoreRestartedError("anew"))
    bench = Bench([message("a", 0)], store=store)
    with pytest.raises(StoreRestartedError):
        bench.loop.run()
    assert store.asked
    assert bench.consumer.commits == []


def test_nothing_is_committed_while_the_store_is_away() -> None:
    store = Restarting(RetryableError("away"))
    bench = Bench([message("a", 0)], store=store)
    bench.loop.run()
    assert store.asked
    assert bench.consumer.commits == []


@pytest.mark.slow
def test_commits_trail_the_store_but_a_stop_commits_all() -> None:
    seen: list[list[dict[int, int]]] = []

    def empty() -> None:
        seen.append(list(bench.consumer.commits))
        if len(seen) == 3:
            bench.loop.stop()

    bench = Bench([message("a", 0)], empty=empty, store=MemoryStore(trail=60.0))
    bench.loop.run()
    assert seen == [[], [], []]
    assert bench.consumer.commits == [{0: 1}]


def test_registry_away_is_waited_for() -> None:
    bench = Bench([message("a", 0)], codec=JsonCodec(away=2))
    bench.loop.run()
    assert bench.store.get("e:a") is not None


def test_stopped_while_the_store_is_away_commits_nothing() -> None:
    bench = Bench([message("a", 0)], store=FlakyStore(1000, lambda: bench.loop.stop()))
    with pytest.raises(RetryableError):
        bench.loop.run()
    assert bench.consumer.commits == []
    assert bench.consumer.closed


def test_nothing_is_committed_before_the_broker_confirmed() -> None:
    producer = FakeProducer()
    producer.mute = True
    bench = Bench([message("a", 0)], producer=producer)
    bench.loop.run()
    assert bench.store.get("e:a") is not None
    assert bench.consumer.commits == []


def test_a_record_given_up_stops_the_consumer() -> None:
    bench = Bench(
        [message("a", 0)], producer=FakeProducer(error=KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    )
    with pytest.raises(KafkaException):
        bench.loop.run()
    assert bench.consumer.commits == []


def test_full_queue_is_waited_for() -> None:
    bench = Bench([message("a", 0)], producer=FakeProducer(full=3))
    bench.loop.run()
    assert len(bench.producer.sent) == 1


@pytest.mark.slow
def test_waits_for_what_the_product_lacks() -> None:
    product = Echo()
    product.lacks = ["no model"]
    bench = Bench([message("a", 0)], product=product)
    bench.loop.run()
    assert bench.store.get("e:a") is not None
    assert (bench.health.missing, bench.health.waiting) == ({}, {})


def test_two_things_may_keep_it_waiting_at_once() -> None:
    product = Echo()
    product.lacks, product.unfit = ["no model"] * 2, ["no lists"]
    bench = Bench([message("a", 0)], product=product)
    bench.loop.run()
    assert bench.store.get("e:a") is not None
    assert (bench.health.missing, bench.health.waiting) == ({}, {})


@pytest.mark.slow
def test_what_the_product_lacks_is_told_by_a_ready_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    product = Echo()
    product.lacks = ["no model"] * 3
    bench = Bench([message("a", 0)], product=product)
    seen: list[tuple[dict[str, str], dict[str, str]]] = []
    pause = bench.consumer.pause

    def paused(partitions: Any) -> None:
        seen.append((bench.health.missing, bench.health.waiting))
        pause(partitions)

    monkeypatch.setattr(bench.consumer, "pause", paused)
    bench.loop.run()
    assert seen[0] == ({}, {"product": "no model"})
    assert bench.health.waiting == {}


def test_a_notice_is_told_while_records_are_handled() -> None:
    product = Echo()
    product.noted = "model refused"
    bench = Bench([message("a", 0)], product=product)
    bench.loop.run()
    assert bench.store.get("e:a") is not None
    assert (bench.health.missing, bench.health.waiting) == ({}, {"notice": "model refused"})
    assert bench.value("millrace_consumer_waiting") == bench.value("millrace_consumer_ready") == 1


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
        # Was fetched before: handled, but no longer ours to commit.
        bench.consumer.messages.append(message("b", 9))
        bench.consumer.empty = bench.loop.stop

    bench = Bench([message("a", 0)], empty=revoke)
    bench.loop.run()
    assert set(bench.store.values) == {"e:a", "e:b"}
    assert bench.consumer.commits == [{0: 1}]


def lag(bench: Bench, partition: int) -> float | None:
    labels = {"consumer": "echo", "topic": "fraud-features", "partition": str(partition)}
    return bench.metrics.registry.get_sample_value("millrace_consumer_lag_records", labels)


def test_lag_is_told() -> None:
    bench = Bench([message("a", 0)])
    bench.loop.run()
    assert lag(bench, 1) == 7


def test_lag_before_anything_was_read_is_what_the_group_has_not_committed() -> None:
    bench = Bench([message("a", 0)])
    bench.consumer.at = OFFSET_INVALID
    bench.loop.run()
    assert lag(bench, 1) == 1


def test_lag_is_not_told_while_nobody_can_say_it() -> None:
    bench = Bench([message("a", 0)])
    bench.consumer.at, bench.consumer.away = OFFSET_INVALID, True
    bench.loop.run()
    assert lag(bench, 1) is None


def test_the_lag_of_a_partition_goes_with_it() -> None:
    def revoke() -> None:
        bench.consumer.callbacks["on_revoke"](bench.consumer, [TopicPartition("fraud-features", 1)])
        bench.loop.stop()

    bench = Bench([message("a", 0)], empty=revoke)
    bench.loop.run()
    assert lag(bench, 0) == 7
    assert lag(bench, 1) is None


@pytest.mark.slow
def test_what_is_pending_of_a_partition_goes_with_it_while_waiting() -> None:
    """The group takes it away inside a read, which then returns.

    Nothing of before may be stored back.
    """
    product = Echo()
    product.lacks = ["no model"] * 3
    bench = Bench([message("kept", 0), message("gone", 1, partition=1)], product=product)
    bench.consumer.serves_while_paused = True
    reads = itertools.count()

    def revoke() -> None:
        if next(reads) == 0:
            bench.consumer.callbacks["on_lost"](
                bench.consumer, [TopicPartition("fraud-features", 1)]
            )
        elif bench.store.values:
            bench.loop.stop()

    bench.consumer.empty = revoke
    bench.loop.run()
    assert set(bench.store.values) == {"e:kept"}


def test_a_full_queue_does_not_hold_up_a_stop() -> None:
    bench = Bench([message("a", 0)])
    bench.producer.full = 10**9
    bench.producer.asked = bench.loop.stop
    with pytest.raises(RetryableError, match="queue was full"):
        bench.loop.run()
    assert bench.consumer.commits == []
    assert bench.consumer.closed


def test_a_full_queue_does_not_hide_that_a_record_was_given_up() -> None:
    producer = FakeProducer(error=KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    bench = Bench([message("a", 0), message("b", 1)], producer=producer)
    producer.room = 1
    with pytest.raises(KafkaException):
        bench.loop.run()
    assert bench.consumer.commits == []


def test_a_stored_value_that_cannot_be_restored_is_no_end() -> None:
    bench = Bench([message("a", 5), message("b", 6)])
    bench.store.apply([Write("e:a", 1, 5, b"no json")])
    bench.loop.run()
    assert [
        json.loads(value)["id"]
        for topic, _, value in bench.producer.sent
        if topic == "fraud-scores"
    ] == ["b"]
    (aside,) = bench.quarantined()
    assert aside["source_offset"] == 5
    assert aside["detail"].startswith("e:a holds what cannot be restored: JSONDecodeError")
    assert bench.consumer.commits == [{0: 7}]

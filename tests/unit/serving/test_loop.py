from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from config.errors import RetryableError, UserError
from config.topics import topics
from ingestion.avro import Codec, RefusedError, UnreadableError
from ingestion.encoders import EARLIEST_MS, LATEST_MS, write_long
from serving.consumers.business import Business
from serving.consumers.connection import Connection
from serving.consumers.health import Health
from serving.consumers.loop import Loop, Pace
from serving.consumers.metrics import Metrics
from serving.consumers.product import Incoming, Result
from serving.store import MemoryStore, Stored, StoreRestartedError, Write
from tests.unit.ingestion.registries import FakeRegistry
from tests.unit.serving.kafka_fake import FakeConsumer, FakeMessage, FakeProducer

FAST = Pace(idle=0.001, commit=0.0, trail=0.0, first_retry=0.001, last_retry=0.002, lag=0.0, stop=0.01)


class JsonCodec:
    """JSON in place of Avro; `no` is unreadable; away for the first `away` calls."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.poison: set[bytes | None] = {b"no"}

    def decode(self, _: str, value: bytes | None) -> dict[str, Any]:
        if self.away:
            self.away -= 1
            raise RetryableError("registry is away")
        if value in self.poison:
            raise UnreadableError("malformed", "it says no")
        record: dict[str, Any] = json.loads(value or b"")
        return record

    def encode(self, _: str, record: dict[str, Any]) -> bytes:
        if record.get("reading") == "nan":
            raise RefusedError("reading: nan is not finite")
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


class Breaks(Echo):
    """Breaks on the ids given, with the error given."""

    def __init__(self, *ids: str, error: Exception | None = None) -> None:
        super().__init__()
        self._ids, self._error = ids, error or OverflowError("date value out of range")

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        if any(row.record["id"] in self._ids for row in batch):
            raise self._error
        return super().handle(batch)


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
            pace=parts.pop("pace", FAST),
            now=lambda: 1.25,
            **parts,
        )

    def quarantined(self) -> list[dict[str, Any]]:
        return [json.loads(value) for topic, _, value in self.producer.sent if topic == "quarantine"]

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


def test_a_store_that_started_anew_ends_the_process_and_what_it_had_lately_is_not_committed() -> None:
    store = Restarting(StoreRestartedError("anew"), batches=1)
    slow = dataclasses.replace(FAST, trail=60.0)
    bench = Bench([message("a", 0), message("b", 1)], store=store, batch=1, pace=slow)
    with pytest.raises(StoreRestartedError):
        bench.loop.run()
    assert set(store.values) == {"e:a"}
    assert bench.consumer.committed == []
    assert bench.consumer.closed


def test_before_a_commit_the_store_is_asked_whether_it_is_still_the_same() -> None:
    store = Restarting(StoreRestartedError("anew"))
    bench = Bench([message("a", 0)], store=store)
    with pytest.raises(StoreRestartedError):
        bench.loop.run()
    assert store.asked
    assert bench.consumer.committed == []


def test_nothing_is_committed_while_the_store_is_away() -> None:
    store = Restarting(RetryableError("away"))
    bench = Bench([message("a", 0)], store=store)
    bench.loop.run()
    assert store.asked
    assert bench.consumer.committed == []


def test_commits_trail_the_store_but_a_stop_commits_all() -> None:
    seen: list[list[dict[int, int]]] = []

    def empty() -> None:
        seen.append(list(bench.consumer.committed))
        if len(seen) == 3:
            bench.loop.stop()

    bench = Bench([message("a", 0)], empty=empty, pace=dataclasses.replace(FAST, trail=60.0))
    bench.loop.run()
    assert seen == [[], [], []]
    assert bench.consumer.committed == [{0: 1}]


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


def test_a_record_that_breaks_the_product_is_put_aside_and_the_rest_goes_on() -> None:
    bench = Bench([message("a", 0), message("bad", 1), message("b", 2), FakeMessage(b"no", 3)], product=Breaks("bad"))
    bench.loop.run()
    assert set(bench.store.values) == {"e:a", "e:b"}
    assert [(one["source_offset"], one["reason"]) for one in bench.quarantined()] == [(3, "malformed"), (1, "refused")]
    assert bench.quarantined()[1]["detail"] == "OverflowError: date value out of range"
    assert [key for topic, key, _ in bench.producer.sent if topic == "fraud-scores"] == [b"a", b"b"]
    assert bench.consumer.committed == [{0: 4}]
    assert bench.value("millrace_consumer_quarantined_total") == 2


def test_a_batch_of_one_that_breaks_the_product_is_put_aside() -> None:
    bench = Bench([message("bad", 0), message("a", 1)], product=Breaks("bad"), batch=1)
    bench.loop.run()
    assert [one["source_offset"] for one in bench.quarantined()] == [0]
    assert set(bench.store.values) == {"e:a"}


def test_a_product_that_every_record_breaks_stops_and_nothing_is_put_aside() -> None:
    messages = [message("x", 0), message("y", 1), FakeMessage(b"no", 2)]
    bench = Bench(messages, product=Breaks("x", "y", error=KeyError("amount")))
    with pytest.raises(KeyError):
        bench.loop.run()
    assert bench.quarantined() == []
    assert bench.consumer.committed == []


def test_a_product_broken_by_one_record_after_the_other_stops_before_long() -> None:
    bench = Bench([message("x", number) for number in range(9)], product=Breaks("x"), batch=1)
    with pytest.raises(OverflowError):
        bench.loop.run()
    assert [one["source_offset"] for one in bench.quarantined()] == [0, 1]


@pytest.mark.parametrize("error", [UserError("no such schema"), FileNotFoundError("model.txt"), MemoryError()])
def test_a_fault_of_the_environment_puts_nothing_aside(error: Exception) -> None:
    bench = Bench([message("x", 0)], product=Breaks("x", error=error))
    with pytest.raises(type(error)):
        bench.loop.run()
    assert bench.quarantined() == []
    assert bench.consumer.committed == []


def test_bad_records_between_good_ones_never_stop_it() -> None:
    names = ["x", "x", "a", "x", "x", "b", "x"]
    bench = Bench([message(name, place) for place, name in enumerate(names)], product=Breaks("x"), batch=1)
    bench.loop.run()
    assert [one["source_offset"] for one in bench.quarantined()] == [0, 1, 3, 4, 6]


def test_what_the_product_itself_refuses_may_be_everything() -> None:
    refusal = UnreadableError("refused", "no such shop")
    bench = Bench([message("x", place) for place in range(5)], product=Breaks("x", error=refusal))
    bench.loop.run()
    assert [one["detail"] for one in bench.quarantined()] == ["no such shop"] * 5


def test_a_product_away_for_one_record_is_waited_for() -> None:
    class Away(Breaks):
        calls = 0

        def handle(self, batch: Sequence[Incoming]) -> list[Result]:
            self.calls += 1
            if self.calls == 2:
                raise RetryableError("no model")
            return super().handle(batch)

    bench = Bench([message("x", 0), message("a", 1)], product=Away("x"))
    bench.loop.run()
    assert [one["source_offset"] for one in bench.quarantined()] == [0]
    assert set(bench.store.values) == {"e:a"}


def test_a_result_that_fits_no_contract_is_not_even_stored() -> None:
    unfit = FakeMessage(json.dumps({"id": "a", "t": 1, "reading": "nan"}).encode(), 0)
    bench = Bench([unfit, message("b", 1)])
    bench.loop.run()
    assert set(bench.store.values) == {"e:b"}
    assert [one["detail"] for one in bench.quarantined()] == ["RefusedError: reading: nan is not finite"]


def test_a_result_larger_than_the_topic_takes_is_not_even_stored() -> None:
    bench = Bench([message("a" * 3_200_000, 0), message("b" * 3_200_000, 1)])
    bench.loop.run()
    assert bench.store.values == {}
    assert all("more than fraud-scores takes" in one["detail"] for one in bench.quarantined())
    assert bench.consumer.committed == [{0: 2}]


def test_poison_too_large_for_quarantine_is_cut() -> None:
    poison = FakeMessage(b"no" * 2_500_000, 1)
    codec = JsonCodec()
    codec.poison = {b"no", poison.data}
    bench = Bench([poison], codec=codec)
    bench.loop.run()
    (aside,) = bench.quarantined()
    kept = len(aside["value"])
    assert aside["detail"] == f"it says no; too large: of its value's 5000000 bytes the first {kept} are kept"
    assert 4_000_000 < kept < 4_194_304
    assert len(bench.producer.sent[0][2]) < topics()["quarantine"].room
    assert bench.consumer.committed == [{0: 2}]


def test_kafka_s_time_of_a_poison_may_be_any() -> None:
    bench = Bench([FakeMessage(b"no", 0, stamp=1_760_000_000_000_000), FakeMessage(b"no", 1, stamp=-(1 << 62))])
    bench.loop.run()
    assert [one["source_time"] for one in bench.quarantined()] == [LATEST_MS, EARLIEST_MS]


def test_a_time_that_no_calendar_holds_is_put_aside_and_not_met_again_for_ever() -> None:
    codec = Codec(FakeRegistry().client())
    window = {"window_end": 60_000, "orders": 0, "gmv": 0.0, "unpriced_lines": 0, "active_visitors": 0, "buyers": 0}
    good = codec.encode("business-metrics", {**window, "window_start": 0, "conversion": None, "events": 1})
    place = good.index(b"\x00", 5)
    bad = good[:place] + write_long(1_760_000_000_000_000) + good[place + 1 :]
    bench = Bench([FakeMessage(bad, 0), FakeMessage(good, 1)], codec=codec, product=Business())
    bench.loop.run()
    assert set(bench.store.values) == {"business:window:0"}
    ((topic, _, value),) = bench.producer.sent
    aside = codec.decode(topic, value)
    assert (aside["reason"], aside["detail"]) == ("refused", "window_start is out of range: 1760000000000000")
    assert aside["value"] == bad


def test_brokers_away_are_named_until_one_answers() -> None:
    seen: list[dict[str, str]] = []
    now = [0.0]
    kafka = Connection(lambda: now[0])

    def turn() -> None:
        seen.append(dict(bench.health.missing))
        if len(seen) == 1:
            kafka.failed(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
            bench.consumer.away = True
            bench.consumer.messages.append(message("b", 1))  # from the client's own queue: proves nothing
        elif len(seen) == 4:
            bench.consumer.away = False
        elif len(seen) == 6:
            bench.loop.stop()
        now[0] += 0.6

    bench = Bench([message("a", 0)], kafka=kafka, empty=turn)
    bench.loop.run()
    away = {"kafka": "1/1 brokers are down"}
    assert seen == [{}, away, away, away, {}, {}]
    assert set(bench.store.values) == {"e:a", "e:b"}
    assert bench.consumer.log.count("asked") == 2, "once a second, and only while they are away"


def test_other_errors_of_the_client_are_no_outage() -> None:
    kafka = Connection()
    kafka.failed(KafkaError(KafkaError._TRANSPORT))
    bench = Bench([message("a", 0)], kafka=kafka)
    bench.loop.run()
    assert "asked" not in bench.consumer.log


def test_the_real_client_says_that_no_broker_is_there() -> None:
    kafka = Connection()
    nobody = {"bootstrap.servers": "127.0.0.1:1", "group.id": "tests", "error_cb": kafka.failed}
    consumer = Consumer(nobody, logger=logging.getLogger("kafka"))
    consumer.subscribe(["fraud-features"])
    deadline = time.monotonic() + 20
    while kafka.trouble(consumer) is None and time.monotonic() < deadline:
        consumer.consume(1, 0.05)
    assert "brokers are down" in (kafka.trouble(consumer) or "")
    consumer.close()


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

"""State in memory that is made anew from a topic when partitions are assigned."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from config.errors import UserError
from ingestion import schema
from ingestion.wire.codec import Codec
from serving.consumers.product import Incoming, Newest, Product, Rebuild, Result
from serving.consumers.rebuilding import Rebuilding
from serving.store import Rule, Write
from tests.unit.serving.kafka_fake import FakeMessage
from tests.unit.serving.loops import Bench, message


class Profiles(Product):
    """Adds each event to a profile that it keeps in memory alone."""

    name, topics = "echo", ("fraud-features",)

    def __init__(self, declared: Rebuild | tuple[Rebuild, ...]) -> None:
        self.rebuild = declared
        self.seen: list[str] = []
        self.cleared = 0

    def clear_state(self) -> None:
        self.cleared += 1
        self.seen = []

    def restore_state(self, row: Incoming) -> None:
        self.seen.append(f"{row.partition}/{row.record['id']}")

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        return [
            Result(
                (Write(row.record["id"], row.offset, 0, ",".join(self.seen).encode(), Rule.NEWEST),)
            )
            for row in batch
        ]


class FakeReader:
    """Partitions of one topic as lists of messages, read from where they are assigned."""

    def __init__(self, *partitions: list[FakeMessage], low: int = 0) -> None:
        self.partitions = dict(enumerate(partitions))
        self.low, self.away, self.closed = low, False, False
        self.asked_since: list[int] = []
        self._queue: deque[FakeMessage] = deque()

    def list_topics(self, topic: str, timeout: float) -> Any:
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        found = SimpleNamespace(error=None, partitions=self.partitions)
        return SimpleNamespace(topics={topic: found})

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        messages = self.partitions[place.partition]
        return self.low, messages[-1].at + 1 if messages else self.low

    def offsets_for_times(self, asked: list[TopicPartition], timeout: float) -> Any:
        self.asked_since = [one.offset for one in asked]
        return [
            TopicPartition(
                one.topic,
                one.partition,
                next((m.at for m in self.partitions[one.partition] if m.stamp >= one.offset), -1),
            )
            for one in asked
        ]

    def assign(self, places: list[TopicPartition]) -> None:
        assert all(place.offset != OFFSET_BEGINNING for place in places)
        self._queue = deque(
            one
            for place in places
            for one in self.partitions[place.partition]
            if one.at >= place.offset
        )

    def consume(self, count: int, timeout: float) -> list[FakeMessage]:
        return [self._queue.popleft() for _ in range(min(count, len(self._queue)))]

    def close(self) -> None:
        self.closed = True


def bench_of(reader: FakeReader, declared: Rebuild | tuple[Rebuild, ...], **parts: Any) -> Bench:
    return Bench(
        parts.pop("messages", [message("new", 0)]),
        product=Profiles(declared),
        reader=lambda: cast("Consumer", reader),
        **parts,
    )


def profiles(bench: Bench) -> Profiles:
    assert isinstance(bench.product, Profiles)
    return bench.product


def test_state_is_there_before_the_first_record_is_handled() -> None:
    first = [message("a", 0), message("b", 1), FakeMessage(b"no", 2), message("c", 3)]
    reader = FakeReader(first, [message("d", 5, partition=1)], [message("e", 0, partition=2)])
    bench = bench_of(reader, Rebuild("shop-events"))
    bench.loop.run()
    stored = bench.store.get("new")
    assert stored is not None
    # Partitions 0 and 1 are the group's; 2 is another consumer's. What cannot be read is left out.
    assert stored.data == b"0/a,0/b,0/c,1/d"
    assert bench.consumer.commits == [{0: 1}]
    assert not bench.consumer.paused
    assert reader.closed


def test_all_partitions_where_the_product_asks_for_them() -> None:
    reader = FakeReader([message("a", 0)], [], [message("e", 0, partition=2)])
    bench = bench_of(reader, Rebuild("shop-events", everything=True))
    bench.loop.run()
    assert profiles(bench).seen == ["0/a", "2/e"]


def test_no_further_back_than_the_age_it_declares() -> None:
    old, new = message("old", 0), message("young", 1)
    old.stamp, new.stamp = 100, 900
    reader = FakeReader([old, new], [message("older", 0, partition=1)])
    reader.partitions[1][0].stamp = 50
    bench = bench_of(reader, Rebuild("shop-events", age_ms=1000))  # the clock stands at 1,250 ms
    bench.loop.run()
    assert reader.asked_since == [250, 250]
    assert profiles(bench).seen == ["0/young"]


def test_readyz_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.consumers.rebuilding.STEP", 2)
    reader = FakeReader([message(str(n), n) for n in range(4)])
    bench = bench_of(reader, Rebuild("shop-events"))
    told: list[str] = []
    consume = reader.consume

    def watched(count: int, timeout: float) -> list[FakeMessage]:
        told.append(bench.health.missing.get("rebuild", ""))
        return consume(count, timeout)

    monkeypatch.setattr(reader, "consume", watched)
    bench.loop.run()
    assert told[0] == "state will be rebuilt from shop-events"
    assert told[-1] == "state is being rebuilt from shop-events: 50% of 4 records"
    assert bench.health.missing == {}


def test_it_is_not_ready_before_its_partitions_are_assigned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = bench_of(FakeReader([message("a", 0)]), Rebuild("shop-events"))
    told: list[dict[str, str]] = []
    subscribe, consume = bench.consumer.subscribe, bench.consumer.consume
    waiting: list[Any] = []

    def without_assignment(topics: list[str], **callbacks: Any) -> None:
        waiting.append(lambda: subscribe(topics, **callbacks))

    def assigned_at_last(count: int, timeout: float) -> list[FakeMessage]:
        told.append(dict(bench.health.missing))
        if not waiting:
            return consume(count, timeout)
        if len(told) > 2:
            waiting.pop()()
        return []

    monkeypatch.setattr(bench.consumer, "subscribe", without_assignment)
    monkeypatch.setattr(bench.consumer, "consume", assigned_at_last)
    bench.loop.run()
    assert told[:3] == [{"rebuild": "waiting for partitions"}] * 3
    assert bench.health.missing == {}
    assert profiles(bench).seen == ["0/a"]


def test_partitions_that_come_or_go_meanwhile_begin_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.consumers.rebuilding.STEP", 1)
    reader = FakeReader([message("a", 0), message("b", 1)], [message("d", 0, partition=1)])
    bench = bench_of(reader, Rebuild("shop-events"))
    consume = reader.consume
    steps: list[int] = []

    def revoking(count: int, timeout: float) -> list[FakeMessage]:
        steps.append(count)
        if len(steps) == 2:
            gone = [TopicPartition("fraud-features", 1)]
            bench.consumer.callbacks["on_lost"](bench.consumer, gone)
        return consume(count, timeout)

    monkeypatch.setattr(reader, "consume", revoking)
    bench.loop.run()
    assert profiles(bench).cleared == 2
    assert profiles(bench).seen == ["0/a", "0/b"]


def test_a_broker_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = FakeReader([message("a", 0)])
    reader.away = True
    bench = bench_of(reader, Rebuild("shop-events"))
    told: list[str] = []
    consume = bench.consumer.consume

    def watched(count: int, timeout: float) -> list[FakeMessage]:
        told.append(bench.health.missing.get("rebuild", ""))
        reader.away = len(told) < 3
        return consume(count, timeout)

    monkeypatch.setattr(bench.consumer, "consume", watched)
    bench.loop.run()
    assert "shop-events cannot be read" in told[0]
    assert profiles(bench).seen == ["0/a"]


def test_several_topics_are_read_one_after_the_other_and_the_state_is_cleared_once() -> None:
    reader = FakeReader([message("a", 0), message("b", 1)])
    both = (Rebuild("shop-items", everything=True), Rebuild("shop-events", everything=True))
    bench = bench_of(reader, both)
    bench.loop.run()
    assert profiles(bench).seen == ["0/a", "0/b", "0/a", "0/b"]
    assert profiles(bench).cleared == 1
    assert bench.health.missing == {}


def test_a_loop_without_a_reader_says_so() -> None:
    bench = Bench([message("a", 0)], product=Profiles(Rebuild("shop-events")))
    with pytest.raises(UserError, match="echo has nothing to read shop-events with"):
        bench.loop.run()


class Known:
    """A registry with one schema."""

    def register(self, subject: str, text: str) -> int:
        return 7

    def schema(self, _: int) -> str:
        return schema.text("Session")


class Sessions(Product):
    """Remembers the versions of sessions that it is given."""

    name, topics = "echo", ("sessions",)
    rebuild = Rebuild("sessions", everything=True, newest=Newest("session_id", "clicks", 50, 50))

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def restore_state(self, row: Incoming) -> None:
        self.seen.append((row.record["session_id"], row.record["clicks"]))

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        return [Result() for _ in batch]


def test_of_the_records_of_a_key_the_newest_alone_is_handed_over() -> None:
    codec, times = Codec(cast("Any", Known())), {"event_time": 1, "started": 1}

    def told(at: int, name: str, clicks: int, place: int = 0) -> FakeMessage:
        ids = {"session_id": name, "user_id": "u", "event_id": f"e{at}"}
        return FakeMessage(codec.encode("sessions", {**ids, **times, "clicks": clicks}), at, place)

    first = [told(0, "a", 1), told(1, "b", 2), told(2, "a", 3), FakeMessage(b"no", 3)]
    second = [told(0, "c", 1, 1), told(1, "d", 4, 1), told(2, "d", 2, 1)]
    reader, product = FakeReader(first, second), Sessions()
    made = Rebuilding(product, codec, lambda: cast("Consumer", reader), lambda: 0.0)
    made.restart()
    steps = 0
    while made.due:
        made.advance([("sessions", 0)], 0.0)
        steps += 1
    assert product.seen == [("b", 2), ("a", 3), ("c", 1), ("d", 4)]
    assert steps < 5


def test_an_unreadable_record_hides_no_older_one_of_its_key() -> None:
    codec = Codec(cast("Any", Known()))

    def told(at: int, name: str, clicks: int, *, cut: int = 0) -> FakeMessage:
        ids = {"session_id": name, "user_id": "u", "event_id": f"e{at}", "event_time": 1}
        value = codec.encode("sessions", {**ids, "started": 1, "clicks": clicks})
        return FakeMessage(value[: len(value) - cut], at)

    sent = [told(0, "a", 1), told(1, "b", 1), told(2, "a", 2), told(3, "a", 3, cut=1)]
    sent += [told(4, "b", 2), told(5, "a", 4, cut=1), told(6, "c", 1, cut=1)]
    reader, product = FakeReader(sent), Sessions()
    made = Rebuilding(product, codec, lambda: cast("Consumer", reader), lambda: 0.0)
    made.restart()
    steps = 0
    while made.due:
        made.advance([("sessions", 0)], 0.0)
        steps += 1
        assert steps < 20
    assert product.seen == [("b", 2), ("a", 2)]

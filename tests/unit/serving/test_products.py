"""What the consumer frame carries, each shown by a product made for the purpose."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from config.errors import RetryableError, UserError
from serving.consumers.product import Incoming, Output, Product, Result
from serving.consumers.run import check_topics
from serving.store import MemoryStore, Rule, Write
from tests.unit.serving.kafka_fake import FakeMessage, FakeProducer
from tests.unit.serving.loops import Bench, Echo, message
from tests.unit.serving.test_loop import FlakyStore


class Both(Product):
    """Sales and returns of one shop: two topics in."""

    name, topics = "echo", ("shop-events", "transactions")

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        return [
            Result((Write(f"{row.topic}:{row.partition}:{row.record['id']}", 1, 1, b"x"),))
            for row in batch
        ]


def test_several_topics_each_with_offsets_and_lag_of_its_own() -> None:
    messages = [
        message("a", 7, topic="shop-events"),
        message("a", 3, topic="transactions"),
        message("b", 9, partition=1, topic="transactions"),
        FakeMessage(b"no", 4, source="transactions"),
    ]
    bench = Bench(messages, product=Both())
    bench.loop.run()
    assert bench.consumer.topics == ["shop-events", "transactions"]
    assert set(bench.store.values) == {"shop-events:0:a", "transactions:0:a", "transactions:1:b"}
    assert bench.consumer.commits == [
        {("shop-events", 0): 8, ("transactions", 0): 5, ("transactions", 1): 10}
    ]
    (topic, key, _) = bench.producer.sent[0]
    assert (topic, key) == ("quarantine", b"transactions")
    assert bench.value("millrace_consumer_records_total", topic="transactions") == 2
    assert bench.value("millrace_consumer_quarantined_total", topic="transactions") == 1
    lag = {"topic": "shop-events", "partition": "1"}
    assert bench.value("millrace_consumer_lag_records", **lag) == 7


def test_a_partition_of_one_topic_leaves_and_the_other_topic_s_stays() -> None:
    bench = Bench([message("a", 7, topic="shop-events")], product=Both())
    place = bench.consumer.place("shop-events", 0)

    def revoke() -> None:
        bench.consumer.callbacks["on_lost"](bench.consumer, [place])
        bench.consumer.messages.append(message("b", 1, topic="transactions"))
        bench.consumer.empty = bench.loop.stop

    bench.consumer.empty = revoke
    bench.store.trail = 60.0  # nothing is committed before the partition is gone
    bench.loop.run()
    assert bench.consumer.commits == [{("transactions", 0): 2}]


class Basket(Product):
    """A basket leads to a write and an alert for each of its items, and to nothing when empty."""

    name, topics = "echo", ("fraud-features",)

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        return [
            Result(
                tuple(Write(f"item:{one}", row.offset, 0, b"sold") for one in row.record["id"]),
                (
                    *(Output("alerts", one, {"id": one}) for one in row.record["id"]),
                    Output("fraud-scores", b"raw", value=b"as it is"),
                )
                if row.record["id"]
                else (),
                origin=row.timestamp if row.record["id"] else None,
            )
            for row in batch
        ]


def test_none_one_or_many_writes_and_records() -> None:
    bench = Bench([message("xy", 0), message("", 1), message("z", 2)], product=Basket())
    bench.loop.run()
    assert set(bench.store.values) == {"item:x", "item:y", "item:z"}
    assert [(topic, key) for topic, key, _ in bench.producer.sent] == [
        ("alerts", b"x"),
        ("alerts", b"y"),
        ("fraud-scores", b"raw"),
        ("alerts", b"z"),
        ("fraud-scores", b"raw"),
    ]
    assert bench.producer.sent[2][2] == b"as it is"
    assert bench.consumer.commits == [{0: 3}]
    assert bench.value("millrace_event_to_store_seconds_count") == 2


def test_what_is_stored_is_produced_only_for_one_record() -> None:
    """Of several records none can be made of one value."""
    bench = Bench([message("xy", 5)], product=Basket())
    bench.store.apply([Write("item:x", 1, 1, b"earlier")])
    bench.loop.run()
    assert [key for _, key, _ in bench.producer.sent] == [b"x", b"y", b"raw"]
    assert bench.value("millrace_consumer_kept_total") == 1


def test_of_several_records_the_first_is_what_is_stored() -> None:
    class Told(Echo):
        def handle(self, batch: Sequence[Incoming]) -> list[Result]:
            more = (Output("alerts", b"beside", value=b"as it is"),)
            return [one._replace(outputs=one.outputs + more) for one in super().handle(batch)]

    bench = Bench([message("a", 5)], product=Told())
    bench.store.apply([Write("e:a", 10**15, 1, json.dumps({"id": "earlier"}).encode())])
    bench.loop.run()
    assert [(topic, value) for topic, _, value in bench.producer.sent] == [
        ("fraud-scores", b'{"id": "earlier"}'),
        ("alerts", b"as it is"),
    ]


@pytest.mark.parametrize(("lost", "told"), [("e:a", b"earlier"), ("beside:a", b"a")])
def test_of_several_writes_the_first_decides(lost: str, told: bytes) -> None:
    class Beside(Echo):
        def handle(self, batch: Sequence[Incoming]) -> list[Result]:
            results = super().handle(batch)
            beside = [Write(f"beside:{row.record['id']}", row.offset, 0, b"x") for row in batch]
            return [
                one._replace(writes=(*one.writes, write))
                for one, write in zip(results, beside, strict=True)
            ]

        def restore(self, data: bytes) -> Mapping[str, Any] | None:
            return {"id": data.decode()}

    bench = Bench([message("a", 5)], product=Beside())
    bench.store.apply([Write(lost, 1, 1, b"earlier")])
    bench.loop.run()
    ((_, _, value),) = bench.producer.sent
    assert json.loads(value)["id"].encode() == told


def test_a_product_without_restore_produces_what_it_made() -> None:
    class Plain(Echo):
        def restore(self, data: bytes) -> Mapping[str, Any] | None:
            return None

    bench = Bench([message("a", 1, t=1), message("a", 2, t=5)], product=Plain())
    bench.loop.run()
    assert [json.loads(value)["t"] for _, _, value in bench.producer.sent] == [1, 5]


def test_a_topic_that_is_not_declared_stops_it_rather_than_emptying_its_input() -> None:
    class Astray(Echo):
        def handle(self, batch: Sequence[Incoming]) -> list[Result]:
            return [Result(outputs=(Output("nowhere", "k", {}),)) for _ in batch]

    bench = Bench([message("a", 0)], product=Astray())
    with pytest.raises(UserError, match="echo produces to nowhere"):
        bench.loop.run()
    assert bench.quarantined() == []
    product = Echo()
    product.topics = ("nowhere", "alerts")
    with pytest.raises(UserError, match="echo reads undeclared topics: nowhere"):
        check_topics(product)


class Latest(Product):
    """Ranks a user by the last event alone."""

    name, topics, batch_size = "echo", ("fraud-features",), 1000

    def __init__(self, *breaks: str) -> None:
        self.seen: list[str] = []
        self._breaks = breaks

    def fold(self, row: Incoming) -> str | None:
        name: str = row.record["id"]
        return None if name == "alone" else name

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        if any(row.record["t"] in self._breaks for row in batch):
            raise OverflowError("too late")
        self.seen += [f"{row.record['id']}{row.record['t']}" for row in batch]
        return [
            Result((Write(row.record["id"], row.offset, 0, b"%d" % row.offset, Rule.NEWEST),))
            for row in batch
        ]


def test_of_a_backlog_only_the_newest_of_a_key_is_handled() -> None:
    names = ["a", "b", "a", "alone", "alone", "a"]
    product = Latest()
    messages = [message(name, place, t=place) for place, name in enumerate(names)]
    bench = Bench([*messages, FakeMessage(b"no", 6)], product=product)
    bench.loop.run()
    assert product.seen == ["b1", "alone3", "alone4", "a5"]
    assert bench.consumer.commits == [{0: 7}]
    assert bench.value("millrace_consumer_folded_total") == 2
    assert bench.value("millrace_consumer_records_total") == 6
    assert bench.value("millrace_consumer_batch_records_sum") == 7


def test_a_product_may_ask_for_larger_batches() -> None:
    product = Latest()
    bench = Bench([message("a", place) for place in range(1500)], product=product)
    bench.loop.run()
    assert len(product.seen) == 2


def test_a_broken_record_does_not_hide_the_good_one_it_replaced() -> None:
    product = Latest("bad")
    good, bad = message("a", 0), FakeMessage(json.dumps({"id": "a", "t": "bad"}).encode(), 1)
    bench = Bench([good, bad], product=product)
    bench.loop.run()
    assert product.seen == ["a1"]
    assert [one["source_offset"] for one in bench.quarantined()] == [1]


class Counting(Product):
    """Gathers in memory and delivers once a minute."""

    name, topics, tick_every = "echo", ("fraud-features",), 60.0

    def __init__(self, away: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self.ticks: list[int] = []
        self.away = away

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        self.counts.update(row.record["id"] for row in batch)
        return [Result() for _ in batch]

    def tick(self, now_ms: int) -> Sequence[Result]:
        if self.away:
            self.away -= 1
            raise RetryableError("away")
        self.ticks.append(now_ms)
        return [
            Result(
                (Write(f"count:{name}", now_ms, 0, b"%d" % count, Rule.NEWEST),),
                (Output("alerts", name, {"count": count}),),
            )
            for name, count in self.counts.items()
        ]


class Minute:
    """A clock that jumps when told, and creeps whenever it is read."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 0.0001
        return self.now


def ticking(clock: Minute, turns: dict[int, float], **parts: Any) -> Bench:
    """A bench whose clock is set at each empty read as `turns` says, and that stops after them."""
    reads = iter(range(1000))

    def empty() -> None:
        read = next(reads)
        clock.now = turns.get(read, clock.now)
        if read > max(turns):
            bench.loop.stop()

    bench = Bench(
        [message("a", 0), message("b", 1), message("a", 2)], empty=empty, clock=clock, **parts
    )
    return bench


def test_time_alone_brings_results_and_offsets_wait_for_them() -> None:
    clock, product = Minute(), Counting()
    before: list[list[dict[Any, int]]] = []

    class Watched(MemoryStore):
        def apply(self, writes: Sequence[Write]) -> list[Any]:
            if writes:
                before.append(list(bench.consumer.commits))
            return super().apply(writes)

    bench = ticking(clock, {1: 61.0}, product=product, store=Watched())
    bench.loop.run()
    assert product.ticks == [1250]
    assert {key: value.data for key, value in bench.store.values.items()} == {
        "count:a": b"2",
        "count:b": b"1",
    }
    assert before == [[]]
    assert [(topic, key) for topic, key, _ in bench.producer.sent] == [
        ("alerts", b"a"),
        ("alerts", b"b"),
    ]
    assert bench.consumer.commits == [{0: 3}]
    assert bench.value("millrace_consumer_records_total") == 3


def test_without_a_tick_what_was_gathered_is_read_again() -> None:
    bench = ticking(Minute(), {1: 30.0}, product=Counting())
    bench.loop.run()
    assert bench.consumer.commits == []


def test_where_a_tick_delivers_nothing_gathered_no_offset_waits_for_it() -> None:
    product = Counting()
    product.tick_delivers = False
    bench = ticking(Minute(), {1: 30.0}, product=product)
    bench.loop.run()
    assert product.ticks == []
    assert bench.consumer.commits[-1] == {0: 3}


def test_a_tick_whose_records_are_not_confirmed_commits_nothing() -> None:
    producer = FakeProducer()
    producer.mute = True
    bench = ticking(Minute(), {1: 61.0}, product=Counting(), producer=producer)
    bench.loop.run()
    assert len(bench.producer.sent) == 2
    assert bench.consumer.commits == []


def test_a_tick_away_is_tried_again_and_its_results_are_stored_once_the_store_is_back() -> None:
    product, clock = Counting(away=1), Minute()
    store = FlakyStore(0)
    turns = {1: 61.0, 2: 61.1, 3: 61.2, 4: 61.3, 5: 61.4}
    bench = ticking(clock, turns, product=product, store=store)
    bench.loop.run()
    assert product.ticks == [1250]
    assert bench.value("millrace_consumer_retries_total") == 1
    assert bench.store.get("count:a") is not None

"""A backlog is held back until it is over, and of it what counts is handled, once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from ingestion.wire.codec import Codec
from serving.consumers.product import Gather, Incoming, Newest, Product, Result
from tests.unit.ingestion.registries import FakeRegistry
from tests.unit.serving.kafka_fake import FakeMessage
from tests.unit.serving.loops import Bench

OLD, YOUNG = 100, 1200
Seen = tuple[str, int]


class Sessions(Product):
    """Notes what it is handed, batch by batch."""

    name, topics = "echo", ("sessions",)
    batch_size, tick_every = 20, 0.01
    gather = Gather("sessions", Newest("session_id", "clicks", 50, 50), many=10, old_s=0.5)

    def __init__(self) -> None:
        self.batches: list[list[Seen]] = []
        self.ticked_after: list[int] = []

    def origin(self, row: Incoming) -> int:
        return int(row.record["produced_at"])

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        self.batches.append([(one.record["session_id"], one.record["clicks"]) for one in batch])
        return [Result() for _ in batch]

    def tick(self, now_ms: int) -> Sequence[Result]:
        self.ticked_after.append(len(self.batches))
        return ()

    @property
    def seen(self) -> list[Seen]:
        return [one for batch in self.batches for one in batch]


class Shop:
    """A loop over messages whose clock moves by `step` seconds each time it is read."""

    def __init__(self, sent: Sequence[tuple[str, int, int]], step: float = 0.02) -> None:
        self.codec = Codec(FakeRegistry().client())
        encoder = self.codec.encoder("sessions")
        messages = [
            FakeMessage(
                b"no" if not name else encoder.record(_record(name, clicks, produced)),
                place,
                source="sessions",
            )
            for place, (name, clicks, produced) in enumerate(sent)
        ]
        self.product, empties = Sessions(), count()
        clock = count()
        self.bench: Bench = Bench(
            messages,
            product=self.product,
            codec=self.codec,
            clock=lambda: next(clock) * step,
            empty=lambda: self.bench.loop.stop() if next(empties) > 60 else None,
        )
        self.bench.loop.run()


def _record(name: str, clicks: int, produced: int) -> dict[str, Any]:
    return {
        "session_id": name,
        "user_id": "u",
        "event_id": "e",
        "event_time": 1,
        "started": 1,
        "clicks": clicks,
        "produced_at": produced,
    }


@pytest.mark.parametrize("seed", range(3))
def test_of_a_backlog_the_newest_of_each_is_handled_once_it_is_over(seed: int) -> None:
    draw = random.Random(seed)
    sent = [(f"s{draw.randrange(40)}", draw.randint(1, 6), OLD) for _ in range(300)]
    shop = Shop(sent)
    newest: dict[str, int] = {}
    for name, clicks, _ in sent:
        newest[name] = max(clicks, newest.get(name, 0))
    assert sorted(shop.product.seen) == sorted(newest.items())
    assert shop.bench.value("millrace_consumer_records_total") == 300
    assert shop.bench.consumer.commits[-1] == {0: 300}


def test_no_tick_comes_while_a_backlog_is_gathered() -> None:
    shop = Shop([(f"s{place}", 1, OLD) for place in range(40)])
    assert shop.product.ticked_after, "there are ticks once it is over"
    assert 0 not in shop.product.ticked_after, "and none before a record is handled"


def test_records_of_now_are_handled_as_they_come() -> None:
    sent = [(f"s{place % 7}", 1 + place // 7, YOUNG) for place in range(100)]
    shop = Shop(sent)
    assert shop.product.seen == [(name, clicks) for name, clicks, _ in sent]


def test_a_backlog_ends_with_the_first_records_of_now() -> None:
    old = [("s", place + 1, OLD) for place in range(40)]
    young = [("s", 41 + place, YOUNG) for place in range(400)]
    shop = Shop(old + young)
    handled = shop.product.seen
    assert handled[-1] == ("s", 440)
    assert len(handled) > 100
    assert all(clicks > 40 for _, clicks in handled)


def test_a_backlog_without_end_is_handed_on_now_and_then() -> None:
    sent = [(f"s{place % 3}", 1 + place, OLD) for place in range(2000)]
    shop = Shop(sent, step=2.0)
    assert 6 < len(shop.product.seen) < 1000
    assert {("s0", 1999), ("s1", 2000), ("s2", 1998)} <= set(shop.product.seen)


def test_what_cannot_be_read_is_put_aside_from_a_backlog() -> None:
    sent = [("" if place % 10 == 5 else "s", 1 + place, OLD) for place in range(40)]
    shop = Shop(sent)
    assert shop.product.seen == [("s", 40)]
    assert shop.bench.value("millrace_consumer_quarantined_total") == 4
    assert shop.bench.value("millrace_consumer_records_total") == 36

"""A backlog is held back until it is over, and of it what counts is handled, once."""

from __future__ import annotations

import random
from collections.abc import Container, Sequence
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
        self.commits: list[dict[Any, int]] = []
        self.commits_before: list[int] = []

    def origin(self, row: Incoming) -> int:
        return int(row.record["produced_at"])

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        self.commits_before.append(len(self.commits))
        self.batches.append([(one.record["session_id"], one.record["clicks"]) for one in batch])
        return [Result() for _ in batch]

    def tick(self, now_ms: int) -> Sequence[Result]:
        self.ticked_after.append(len(self.batches))
        return ()

    @property
    def seen(self) -> list[Seen]:
        return [one for batch in self.batches for one in batch]


class Shop:
    """A loop over messages whose clock moves by `step` seconds each time it is read.

    Those of `cut` lack their last byte. `places` are their partitions.
    """

    def __init__(
        self,
        sent: Sequence[tuple[str, int, int]],
        step: float = 0.02,
        cut: Container[int] = (),
        places: Sequence[int] = (),
    ) -> None:
        self.codec = Codec(FakeRegistry().client())
        encoder = self.codec.encoder("sessions")
        messages = [
            FakeMessage(
                b"no"
                if not name
                else encoder.record(_record(name, clicks, produced))[
                    : -1 if place in cut else None
                ],
                place,
                places[place] if places else 0,
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
        self.product.commits = self.bench.consumer.commits
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
    assert [clicks for _, clicks in handled if clicks <= 40] == [40], "of the old the newest, once"


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


def test_a_record_with_a_broken_tail_hides_none_and_is_put_aside() -> None:
    sent = [(f"s{place % 3}", 1 + place, OLD) for place in range(60)]
    shop = Shop(sent, cut={20, 57, 58})
    assert sorted(shop.product.seen) == [("s0", 55), ("s1", 56), ("s2", 60)]
    assert shop.bench.value("millrace_consumer_quarantined_total") == 3
    assert shop.bench.consumer.commits[-1] == {0: 60}


def test_a_partition_that_is_behind_holds_back_no_other() -> None:
    sent = [
        ("old", 1 + place, OLD) if place % 4 else ("new", 1 + place, YOUNG) for place in range(400)
    ]
    shop = Shop(sent, places=[int(place % 4 > 0) for place in range(400)])
    new = [clicks for name, clicks in shop.product.seen if name == "new"]
    assert new == [1 + place for place in range(0, 400, 4)]
    assert [clicks for name, clicks in shop.product.seen if name == "old"] == [400]


def test_all_that_was_gathered_is_handled_before_more_is_gathered() -> None:
    sent = [(f"s{place % 50}", 2 + place, OLD) for place in range(3000)]
    shop = Shop(sent, step=2.0)
    sizes = [len(batch) for batch in shop.product.batches[:5]]
    assert sizes == [20, 20, 20, 20, 10], "what was gathered in turn with what comes meanwhile"


def test_offsets_are_committed_once_all_that_was_gathered_is_handled() -> None:
    shop = Shop([(f"s{place}", 2, OLD) for place in range(45)])
    assert [len(batch) for batch in shop.product.batches] == [20, 20, 5]
    assert shop.product.commits_before == [0, 0, 0]
    assert shop.bench.consumer.commits[-1] == {0: 45}

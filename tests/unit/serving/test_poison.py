"""Records that all break a product, with nothing good behind them, hold no consumer for ever."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import TopicPartition

from serving.consumers.attempts import Attempts
from serving.store import MemoryStore
from tests.unit.serving.kafka_fake import FakeMessage
from tests.unit.serving.loops import Bench, Breaks, message

PLACE = ("fraud-features", 0)


class Proves(Breaks):
    """Has a known good record, which it handles, or not."""

    def __init__(self, *ids: str, well: bool = True) -> None:
        super().__init__(*ids)
        self.probes, self._well = 0, well

    def probe(self) -> bool:
        self.probes += 1
        if not self._well:
            raise ValueError("a model of another shape")
        return True


def test_a_product_that_proves_itself_puts_every_record_aside() -> None:
    product = Proves("x")
    bench = Bench([message("x", number) for number in range(5)], product=product)
    bench.loop.run()
    assert [one["source_offset"] for one in bench.quarantined()] == [0, 1, 2, 3, 4]
    assert bench.consumer.commits == [{0: 5}]
    assert product.probes == 1


def test_one_after_the_other_too() -> None:
    bench = Bench([message("x", number) for number in range(9)], product=Proves("x"), batch=1)
    bench.loop.run()
    assert len(bench.quarantined()) == 9


def test_a_product_that_fails_its_probe_stops_and_puts_nothing_aside_in_any_life() -> None:
    metadata: dict[tuple[str, int], str] = {}
    for _ in range(4):
        bench = life([message("x", 0), message("x", 1)], metadata, Proves("x", well=False))
        with pytest.raises(ValueError, match="another shape"):
            bench.loop.run()
        assert bench.quarantined() == []
        metadata = bench.consumer.metadata


def life(messages: list[FakeMessage], metadata: dict[tuple[str, int], str], product: Any) -> Bench:
    bench = Bench(messages, product=product)
    bench.consumer.metadata = dict(metadata)
    return bench


def test_a_product_without_a_probe_dies_twice_and_then_puts_them_aside() -> None:
    metadata: dict[tuple[str, int], str] = {}
    for lives in (1, 2):
        bench = life([message("x", 5), message("y", 6)], metadata, Breaks("x", "y"))
        with pytest.raises(OverflowError):
            bench.loop.run()
        assert bench.quarantined() == []
        metadata = bench.consumer.metadata
        assert metadata == {PLACE: f'{{"broke": [5, 6], "lives": {lives}}}'}
    bench = life([message("x", 5), message("y", 6)], metadata, Breaks("x", "y"))
    bench.loop.run()
    assert [one["source_offset"] for one in bench.quarantined()] == [5, 6]
    assert bench.consumer.commits == [{0: 7}]
    assert bench.consumer.metadata == {}


def test_what_was_good_before_them_is_committed_first() -> None:
    store = MemoryStore(trail=0.05)
    messages = [message("a", 4), message("x", 5), message("x", 6), message("x", 7)]
    bench = Bench(messages, product=Breaks("x"), batch=1, store=store)
    with pytest.raises(OverflowError):
        bench.loop.run()
    assert bench.consumer.commits[-1] == {0: 7}  # two single ones were put aside, the third was not
    assert bench.consumer.metadata[PLACE] == '{"broke": [5, 7], "lives": 1}'


def test_other_records_count_anew() -> None:
    attempts = Attempts()
    attempts.load([TopicPartition(*PLACE, 0, metadata='{"broke": [5, 6], "lives": 2}')])
    assert not attempts.exhausted([FakeMessage(b"", 7)])
    assert attempts.exhausted([FakeMessage(b"", 6), FakeMessage(b"", 7)])
    attempts.load([TopicPartition(*PLACE, 0)])
    assert not attempts.exhausted([FakeMessage(b"", 6)])


@pytest.mark.parametrize("metadata", ["", "{", "[]", "7", '{"broke": 5, "lives": 1}', "a word"])
def test_metadata_of_others_says_nothing(metadata: str) -> None:
    attempts = Attempts()
    attempts.load([TopicPartition(*PLACE, 0, metadata=metadata)])
    assert not attempts.exhausted([FakeMessage(b"", 5)])

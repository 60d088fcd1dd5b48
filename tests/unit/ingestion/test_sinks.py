"""The sink in memory keeps the contract; the Kafka sink's errors where no broker is needed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ingestion.producer import DeliveryError, KafkaSink, producer_config
from tests.unit.ingestion.sinks import MemorySink, SinkConformance

NOBODY = "127.0.0.1:1"


@dataclass
class MemoryBench:
    sink: MemorySink
    topic: str = "known"
    unknown: str = "unknown"

    def arrived(self) -> list[tuple[bytes | None, bytes | None]]:
        return self.sink.records[self.topic]


class TestMemorySink(SinkConformance):
    @pytest.fixture
    def bench(self) -> MemoryBench:
        return MemoryBench(MemorySink(["known"]))


def unreachable(**overrides: object) -> KafkaSink:
    return KafkaSink(NOBODY, **overrides)


def test_a_flush_without_broker_says_how_much_is_open() -> None:
    sink = unreachable()
    sink.send("topic", b"k", b"v")

    with pytest.raises(DeliveryError, match=r"1 records not acknowledged within 0\.01 s") as caught:
        sink.flush(0.01)

    assert caught.value.count == 1
    assert sink.pending == 1


def test_a_full_queue_waits_and_then_gives_up() -> None:
    ticks = iter(range(100))
    sink = unreachable(queue_timeout=2.0, clock=lambda: float(next(ticks)), **{"queue.buffering.max.messages": 3})
    for _ in range(3):
        sink.send("topic", b"k", b"v")

    with pytest.raises(DeliveryError, match="no room in the producer's queue for 2 s"):
        sink.send("topic", b"k", b"v")

    assert sink.pending == 3


def test_deliveries_that_time_out_are_counted_and_raised() -> None:
    sink = unreachable(**{"delivery.timeout.ms": 50, "linger.ms": 0, "acks": 1, "enable.idempotence": False})
    for number in range(12):
        sink.send("topic", str(number), b"v")

    with pytest.raises(DeliveryError, match="12 records not delivered") as caught:
        sink.flush(10)

    assert (sink.failed, sink.delivered, sink.pending) == (12, 0, 0)
    assert caught.value.count == 12
    assert len(caught.value.failures) == 10
    sink.flush(1)


def test_the_first_error_is_the_one_to_see() -> None:
    sink = unreachable(**{"delivery.timeout.ms": 50, "linger.ms": 0, "acks": 1, "enable.idempotence": False})

    def use() -> None:
        with sink:
            sink.send("topic", b"k", b"v")
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        use()
    assert sink.failed == 1


def test_nothing_is_lost_or_doubled_by_default() -> None:
    config = producer_config("b", "me", **{"linger.ms": 1})

    assert config["enable.idempotence"] is True
    assert config["acks"] == "all"
    assert config["partitioner"] == "murmur2_random"
    assert config["linger.ms"] == 1

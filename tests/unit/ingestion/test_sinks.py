"""The sink in memory keeps the contract; the Kafka sink's errors where no broker is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from ingestion.kafka.producer import DeliveryError, KafkaSink, producer_config
from tests.unit.ingestion.sinks import TOO_LARGE, MemorySink, SinkConformance

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


def unreachable(**overrides: Any) -> KafkaSink:
    return KafkaSink(NOBODY, **overrides)


def test_a_flush_without_broker_says_how_much_is_open() -> None:
    sink = unreachable()
    sink.send("topic", b"k", b"v")

    with pytest.raises(
        DeliveryError, match=r"1 records not acknowledged, none for 0\.01 s"
    ) as caught:
        sink.flush(0.01)

    assert caught.value.count == 1
    assert sink.pending == 1


class RestartingProducer:
    """Acknowledge nothing before `back_at`, then `rate` records a second, on a clock of its own."""

    def __init__(self, back_at: float, rate: float) -> None:
        self.now, self._back_at, self._rate = 0.0, back_at, rate
        self._waiting: list[Callable[[Any, Any], None]] = []

    def produce(
        self, topic: str, value: Any, key: Any, on_delivery: Callable[[Any, Any], None]
    ) -> None:
        self._waiting.append(on_delivery)

    def poll(self, timeout: float) -> int:
        return 0

    def __len__(self) -> int:
        return len(self._waiting)

    def flush(self, timeout: float) -> int:
        self.now += timeout
        while self._waiting and self.now >= self._back_at:
            self._back_at += 1 / self._rate
            self._waiting.pop()(None, Acknowledged())
        return len(self._waiting)


class Acknowledged:
    def topic(self) -> str:
        return "topic"


def sink_on(
    producer: RestartingProducer, monkeypatch: pytest.MonkeyPatch, **overrides: Any
) -> KafkaSink:
    monkeypatch.setattr("ingestion.kafka.producer.Producer", lambda *given, **named: producer)
    return KafkaSink(NOBODY, clock=lambda: producer.now, **overrides)


def test_a_flush_survives_a_restart_and_a_backlog_of_any_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = RestartingProducer(back_at=31.0, rate=0.1)
    sink = sink_on(producer, monkeypatch)
    for _ in range(40):
        sink.send("topic", b"k", b"v")

    sink.flush()

    assert (sink.delivered, sink.pending) == (40, 0)
    assert producer.now > 400


def test_a_flush_gives_up_when_nothing_moves_for_as_long_as_a_record_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    producer = RestartingProducer(back_at=1e9, rate=1)
    sink = sink_on(producer, monkeypatch, **{"delivery.timeout.ms": 40_000})
    sink.send("topic", b"k", b"v")

    with pytest.raises(DeliveryError, match="1 records not acknowledged, none for 40 s"):
        sink.flush()
    assert producer.now == pytest.approx(40)


def test_what_an_input_may_hold_is_not_too_large_for_the_client() -> None:
    sink = unreachable()

    sink.send("topic", b"k", bytes(2_000_000))  # as small as you like once it is compressed

    assert sink.pending == 1
    with pytest.raises(DeliveryError, match="too large"):
        sink.send("topic", b"k", bytes(2 * TOO_LARGE))


def test_a_full_queue_waits_and_then_gives_up() -> None:
    ticks = iter(range(100))
    sink = unreachable(
        queue_timeout=2.0, clock=lambda: float(next(ticks)), **{"queue.buffering.max.messages": 3}
    )
    for _ in range(3):
        sink.send("topic", b"k", b"v")

    with pytest.raises(DeliveryError, match="no room in the producer's queue for 2 s"):
        sink.send("topic", b"k", b"v")

    assert sink.pending == 3


@pytest.mark.slow
def test_deliveries_that_time_out_are_counted_and_raised() -> None:
    sink = unreachable(
        **{"delivery.timeout.ms": 50, "linger.ms": 0, "acks": 1, "enable.idempotence": False}
    )
    for number in range(12):
        sink.send("topic", str(number), b"v")

    with pytest.raises(DeliveryError, match="12 records not delivered") as caught:
        sink.flush(10)

    assert (sink.failed, sink.delivered, sink.pending) == (12, 0, 0)
    assert caught.value.count == 12
    assert len(caught.value.failures) == 10
    sink.flush(1)


@pytest.mark.slow
def test_the_first_error_is_the_one_to_see() -> None:
    sink = unreachable(
        **{"delivery.timeout.ms": 50, "linger.ms": 0, "acks": 1, "enable.idempotence": False}
    )

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

"""A `Sink` in memory, and what every sink must do.

The same suite runs on the real one (tests/integration).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import pytest

from config.topics import largest_message
from ingestion.kafka.producer import DeliveryError, DeliveryFailure, Sent, Sink

TOO_LARGE = largest_message()


class MemorySink:
    """Keeps records by topic.

    A record is pending until the next flush, as in a batch; `lost` keys never arrive.
    """

    def __init__(self, topics: Iterable[str], lost: Iterable[bytes] = ()) -> None:
        self.records: dict[str, list[tuple[bytes | None, bytes | None]]] = {
            topic: [] for topic in topics
        }
        self._lost = set(lost)
        self._waiting: list[tuple[str, bytes | None, bytes | None]] = []
        self._delivered = 0
        self._closed = False
        self.flushes: list[int] = []

    @property
    def delivered(self) -> int:
        return self._delivered

    @property
    def pending(self) -> int:
        return len(self._waiting)

    def send(self, topic: str, key: bytes | str | None, value: bytes | None) -> None:
        if self._closed:
            raise RuntimeError("the sink is closed")
        raw = key.encode() if isinstance(key, str) else key
        if len(value or b"") > TOO_LARGE:
            raise DeliveryError("too large", 1, (DeliveryFailure(topic, raw, "too large"),))
        self._waiting.append((topic, raw, value))

    def send_all(self, records: Iterable[Sent]) -> None:
        for topic, key, value, *_ in records:
            self.send(topic, key, value)

    def flush(self, patience: float | None = None) -> None:
        failures = []
        for topic, key, value in self._waiting:
            if topic in self.records and key not in self._lost:
                self.records[topic].append((key, value))
                self._delivered += 1
            else:
                failures.append(DeliveryFailure(topic, key, "lost"))
        self._waiting.clear()
        self.flushes.append(self._delivered)
        if failures:
            raise DeliveryError(
                f"{len(failures)} records not delivered", len(failures), tuple(failures[:10])
            )

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.flush()


class Bench(Protocol):
    """A sink to try, a topic it knows, one it does not, and a way to see what arrived."""

    sink: Sink
    topic: str
    unknown: str

    def arrived(self) -> list[tuple[bytes | None, bytes | None]]:
        """(key, value) of every record in the topic, in order per key."""
        ...


class SinkConformance:
    """Subclass it and provide the fixture `bench`."""

    def test_what_is_sent_arrives_in_order_per_key(self, bench: Bench) -> None:
        for number in range(300):
            bench.sink.send(bench.topic, f"k{number % 7}", str(number).encode())
        bench.sink.flush()

        arrived = bench.arrived()
        assert sorted(int(value or b"") for _, value in arrived) == list(range(300))
        for key in range(7):
            of_key = [int(value or b"") for name, value in arrived if name == f"k{key}".encode()]
            assert of_key == list(range(key, 300, 7))

    def test_many_at_once_arrive_like_one_by_one(self, bench: Bench) -> None:
        records = [(bench.topic, f"k{number % 3}", str(number).encode()) for number in range(9)]
        bench.sink.send_all((*record, "more") for record in records)
        bench.sink.send(bench.topic, "k0", b"9")
        bench.sink.flush()

        of_key = [int(value or b"") for key, value in bench.arrived() if key == b"k0"]
        assert of_key == [0, 3, 6, 9]
        assert (bench.sink.delivered, bench.sink.pending) == (10, 0)

    def test_flush_leaves_nothing_pending(self, bench: Bench) -> None:
        for _ in range(10):
            bench.sink.send(bench.topic, b"k", b"v")
        bench.sink.flush()

        assert bench.sink.pending == 0
        assert bench.sink.delivered == 10

    def test_keys_and_values_may_be_absent_text_or_bytes(self, bench: Bench) -> None:
        bench.sink.send(bench.topic, None, b"v")
        bench.sink.send(bench.topic, "é", None)
        bench.sink.send(bench.topic, b"\xff", b"")
        bench.sink.flush()

        assert set(bench.arrived()) == {(None, b"v"), ("é".encode(), None), (b"\xff", b"")}

    def test_what_can_never_be_sent_is_refused_at_once(self, bench: Bench) -> None:
        with pytest.raises(DeliveryError) as caught:
            bench.sink.send(bench.topic, b"k", bytes(2 * TOO_LARGE))
        assert caught.value.failures[0].key == b"k"

        bench.sink.send(bench.topic, b"k", b"small")
        bench.sink.flush()
        assert bench.arrived() == [(b"k", b"small")]

    def test_a_failed_delivery_is_raised_by_the_next_flush_and_only_by_that(
        self, bench: Bench
    ) -> None:
        bench.sink.send(bench.unknown, b"k", b"v")
        with pytest.raises(DeliveryError) as caught:
            bench.sink.flush()
        assert caught.value.count == 1
        assert caught.value.failures[0].topic == bench.unknown

        bench.sink.send(bench.topic, b"k", b"v")
        bench.sink.flush()
        assert bench.sink.delivered == 1

    def test_closing_flushes_and_twice_is_once(self, bench: Bench) -> None:
        bench.sink.send(bench.topic, b"k", b"v")
        bench.sink.close()
        bench.sink.close()

        assert bench.arrived() == [(b"k", b"v")]
        with pytest.raises(RuntimeError, match="closed"):
            bench.sink.send(bench.topic, b"k", b"v")

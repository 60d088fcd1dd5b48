"""A consumer's loop over fakes: a product that echoes, JSON in place of Avro."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from config.errors import RetryableError
from ingestion.wire.codec import Decoded, RefusedError, UnreadableError
from serving.consumers.health import Health
from serving.consumers.loop import Loop, Pace
from serving.consumers.metrics import Metrics
from serving.consumers.product import Incoming, Output, Product, Result
from serving.store import MemoryStore, Write
from tests.unit.serving.kafka_fake import FakeConsumer, FakeMessage, FakeProducer

FAST = Pace(idle=0.001, commit=0.0, first_retry=0.001, last_retry=0.002, lag=0.0, stop=0.01)


class JsonCodec:
    """JSON in place of Avro; `no` is unreadable; away for the first `away` calls."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.poison: set[bytes | None] = {b"no"}

    def decoded(self, topic: str, value: bytes | None) -> Decoded:
        if self.away:
            self.away -= 1
            raise RetryableError("registry is away")
        if value in self.poison:
            raise UnreadableError("malformed", "it says no")
        record: dict[str, Any] = json.loads(value or b"")
        return Decoded(1, record, topic)

    def encode(self, _: str, record: dict[str, Any], name: str | None = None) -> bytes:
        if record.get("reading") == "nan":
            raise RefusedError("reading: nan is not finite")
        return json.dumps(record, default=lambda raw: raw.decode()).encode()


class Echo(Product):
    name = "echo"
    topics: tuple[str, ...] = ("fraud-features",)

    def __init__(self) -> None:
        self.lacks: list[str] = []
        self.unfit: list[str] = []
        self.noted: str | None = None

    def missing(self) -> str | None:
        return self.unfit.pop() if self.unfit else None

    def waiting(self) -> str | None:
        return self.lacks.pop() if self.lacks else None

    def notice(self) -> str | None:
        return self.noted

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        return [
            Result(
                (
                    Write(
                        f"e:{row.record['id']}",
                        row.record["t"],
                        row.offset,
                        json.dumps(row.record).encode(),
                    ),
                ),
                (Output("fraud-scores", row.record["id"], row.record),),
                row.timestamp,
            )
            for row in batch
        ]

    def restore(self, data: bytes) -> Mapping[str, Any] | None:
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

    def __init__(
        self, messages: list[FakeMessage], *, store: MemoryStore | None = None, **parts: Any
    ) -> None:
        self.store = store or MemoryStore()
        self.producer = parts.pop("producer", FakeProducer())
        self.product = parts.pop("product", None) or Echo()
        if "batch" in parts:
            self.product.batch_size = parts.pop("batch")
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
        return [
            json.loads(value) for topic, _, value in self.producer.sent if topic == "quarantine"
        ]

    def value(self, name: str, **labels: str) -> float:
        """A metric's value, summed over the labels that are not given."""
        samples = [
            sample.value
            for metric in self.metrics.registry.collect()
            for sample in metric.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        assert samples
        return sum(samples)


def message(
    name: str, offset: int, *, t: int = 1, partition: int = 0, topic: str = "fraud-features"
) -> FakeMessage:
    data = json.dumps({"id": name, "t": t}).encode()
    return FakeMessage(data, offset, partition, source=topic)

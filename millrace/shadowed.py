"""Read what a challenger said from Kafka, and the verdicts that are known there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from config.settings import Settings
from ingestion.kafka.tail import BEGINNING, Start, Tail, reader
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry

SCORES, LOG, VERDICT = "fraud-shadow-scores", "transactions", "FraudLabel"
Records = Callable[[str, str, int | None], Iterator[dict[str, Any]]]
"""The records of one schema of a topic, those written from a time (ms) on."""


def from_topics(
    settings: Settings, since: int | None, read: Records
) -> tuple[list[dict[str, Any]], dict[str, bool]]:
    """Return what the challenger said, and the newest verdict on each payment; by their topics.

    No payment is dated ahead of its record by more than the settings allow, so those made since
    `since` (ms) are among the records written since then, less that.
    """
    begin = None if since is None else max(0, since - settings.event_ahead_ms)
    records = list(read(SCORES, "FraudShadowScore", begin))
    asked = {one["transaction_id"] for one in records}
    newest: dict[str, tuple[int, bool]] = {}
    for one in read(LOG, VERDICT, begin):
        name, found = one["transaction_id"], (one["event_time"], one["is_fraud"])
        if name in asked and found[0] >= newest.get(name, found)[0]:
            newest[name] = found
    return records, {name: fraud for name, (_, fraud) in newest.items()}


def reading(settings: Settings) -> Records:
    """Return what reads Kafka. It may raise RetryableError."""

    def read(topic: str, schema: str, since: int | None) -> Iterator[dict[str, Any]]:
        start = Start(BEGINNING) if since is None else Start("time", since)
        consumer = reader(settings.kafka_bootstrap)
        try:
            with Registry(settings.registry_url) as registry:
                tail = Tail(consumer, Codec(registry), topic, start)
                for line in tail.lines(follow=False, only=schema):
                    if line.record is not None:
                        yield line.record
        finally:
            consumer.close()

    return read

"""Prove that the lake has each record of a topic, once.

Bronze knows every record by its place in Kafka, so that what it lacks or has twice can be counted.
What no table has is looked up in Kafka itself: compaction may have removed it there, or it could
not be read and is in quarantine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from confluent_kafka import KafkaException, TopicPartition
from numpy.typing import NDArray
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from config.errors import RetryableError
from config.lake import OFFSET, PARTITION
from config.settings import Settings
from config.topics import topics
from ingestion.kafka.quarantine import is_end
from ingestion.kafka.tail import reader
from ingestion.wire.codec import Codec, UnreadableError
from ingestion.wire.encode import EARLIEST_MS, LATEST_MS
from lakehouse import forgotten
from lakehouse.positions import next_offsets
from lakehouse.start import Range, by_topic, ranges

_SILENCE_S = 30.0
Span = tuple[int, int]
"""The first and the last of offsets that follow each other."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the lake has of a partition.

    `first` and `end` are Kafka's offsets, `rows` the lake's records, `doubled` how many of them are
    there once more. `missing` are readable records that no table has, `aside` counts those that
    cannot be read, `waiting` those that the next commits bring. `gone` are offsets that neither
    Kafka nor the lake has, though a table has earlier ones.
    """

    topic: str
    partition: int
    first: int
    end: int
    rows: int
    doubled: int
    aside: int
    waiting: int
    missing: list[Span] = field(default_factory=list)
    gone: list[Span] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Return whether nothing is missing, gone or doubled."""
        return not (self.missing or self.gone or self.doubled)

    def as_dict(self) -> dict[str, Any]:
        """Return the findings as JSON types."""
        return {**asdict(self), "complete": self.complete}


@dataclass(frozen=True, slots=True)
class Checker:
    """Compares the lake with Kafka."""

    settings: Settings
    lake: Catalog
    codec: Codec

    def check(self) -> Iterator[Found]:
        """Yield what the lake has of each partition of each of its topics.

        Raise RetryableError if Kafka is away, UserError if a topic does not exist.
        """
        # The tables before the topics' ends: what comes meanwhile then waits, and is not missed.
        loaded, removed = by_topic(self.lake), forgotten.places(self.lake)
        kept = ranges(self.settings, list(loaded))
        for topic, tables in loaded.items():
            yield from self._topic(topic, tables, kept[topic], removed)

    def _topic(
        self,
        topic: str,
        tables: Mapping[str, Table],
        kept: Mapping[int, Range],
        removed: Mapping[tuple[str, int], Sequence[int]],
    ) -> Iterator[Found]:
        following = next_offsets(tables)
        held = places(tables.values())
        for partition, have in kept.items():
            offsets, times = held.get(partition, (np.empty(0, np.int64), np.empty(0, np.int64)))
            begin = min([have.first, *offsets[:1].tolist()])
            end = following.get(partition, begin)
            known = np.union1d(offsets, np.array(removed.get((topic, partition), ()), np.int64))
            absent = list(spans(known[known >= begin], begin, end))
            inside = [one for one in (_within(span, have) for span in absent) if one]
            missing, aside = self._looked_up(topic, partition, inside)
            gone = [one for one in (_before(span, have.first) for span in absent) if one]
            yield Found(
                topic=topic,
                partition=partition,
                first=have.first,
                end=have.end,
                rows=int(times.sum()),
                doubled=int((times - 1).sum()),
                aside=aside,
                waiting=have.end - max(end, have.first),
                missing=missing,
                # What compaction has removed is nobody's loss.
                gone=[] if topics()[topic].compact else gone,
            )

    def _looked_up(
        self, topic: str, partition: int, absent: Sequence[Span]
    ) -> tuple[list[Span], int]:
        """Return which absent records Kafka has and can be read, and how many cannot be."""
        ahead = Ahead.of(topic, self.settings)
        missing: list[int] = []
        aside = 0
        for offset, kafka_ms, value in _messages(self.settings, topic, partition, absent):
            try:
                refused = ahead.refuses(
                    self.codec.decoded(topic, value, strict=True).record, kafka_ms
                )
            except UnreadableError:
                refused = True
            if refused:
                aside += 1
            else:
                missing.append(offset)
        return _joined(missing), aside


def places(tables: Iterable[Table]) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return by partition the offsets that the tables hold, sorted, and how often each is there."""
    parts: dict[int, list[NDArray[np.int64]]] = {}
    for table in tables:
        for batch in table.scan(selected_fields=(PARTITION, OFFSET)).to_arrow_batch_reader():
            partitions = batch.column(PARTITION).to_numpy(zero_copy_only=False)
            offsets = batch.column(OFFSET).to_numpy(zero_copy_only=False)
            for partition in np.unique(partitions):
                parts.setdefault(int(partition), []).append(offsets[partitions == partition])
    return {
        partition: np.unique(np.concatenate(found), return_counts=True)
        for partition, found in parts.items()
    }


def spans(offsets: NDArray[np.int64], begin: int, end: int) -> Iterator[Span]:
    """Yield what sorted offsets lack of those from `begin` up to before `end`."""
    edges = np.concatenate(([begin - 1], offsets, [end]))
    for place in np.flatnonzero(np.diff(edges) > 1):
        yield int(edges[place]) + 1, int(edges[place + 1]) - 1


def _within(span: Span, have: Range) -> Span | None:
    first, last = max(span[0], have.first), min(span[1], have.end - 1)
    return (first, last) if first <= last else None


def _before(span: Span, first: int) -> Span | None:
    last = min(span[1], first - 1)
    return (span[0], last) if span[0] <= last else None


@dataclass(frozen=True, slots=True)
class Ahead:
    """The limit beyond which an event is refused; `name` is None if the topic has none."""

    name: str | None
    limit_ms: int

    @classmethod
    def of(cls, topic: str, settings: Settings) -> Ahead:
        """Return the limit of a topic."""
        return cls(topics()[topic].time, settings.event_ahead_ms)

    def refuses(self, record: Mapping[str, Any], kafka_ms: int) -> bool:
        """Return whether a record is dated too far after Kafka's timestamp."""
        if self.name is None:
            return False
        bounded = max(min(kafka_ms, LATEST_MS), EARLIEST_MS)
        return bool(record[self.name] > bounded + self.limit_ms)


def _joined(offsets: Sequence[int]) -> list[Span]:
    found: list[Span] = []
    for offset in offsets:
        if found and found[-1][1] == offset - 1:
            found[-1] = (found[-1][0], offset)
        else:
            found.append((offset, offset))
    return found


def _messages(
    settings: Settings, topic: str, partition: int, wanted: Sequence[Span]
) -> Iterator[tuple[int, int, bytes | None]]:
    """Yield offset, timestamp and value of the messages that Kafka has in the spans."""
    if not wanted:
        return
    consumer = reader(settings.kafka_bootstrap, tells_ends=True)
    try:
        for first, last in wanted:
            consumer.assign([TopicPartition(topic, partition, first)])
            while True:
                message = consumer.poll(_SILENCE_S)
                if message is None:
                    raise RetryableError(f"Kafka tells nothing of {topic}/{partition}")
                if is_end(message) or message.offset() > last:
                    break
                yield message.offset(), message.timestamp()[1], message.value()
                if message.offset() == last:
                    break
    except KafkaException as error:
        raise RetryableError(f"Kafka does not answer: {error.args[0].str()}") from error
    finally:
        consumer.close()

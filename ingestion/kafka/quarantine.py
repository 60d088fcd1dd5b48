"""Put unreadable or refused records aside, and read back those that are in quarantine.

The topic `quarantine` is a log of records put aside, each perhaps followed by the mark (`replayed`)
that it was produced again. Folding the log gives the open entries. The position in its source topic
identifies a record, so a record that two jobs put aside, or one job twice after a restart, is one
entry, and a mark holds wherever in the log it stands.

`ingestion.kafka.quarantine_replay` sends entries again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from config.errors import RetryableError, UserError
from config.topics import topics
from ingestion.kafka.producer import client_log
from ingestion.wire.codec import Codec, UnreadableError
from ingestion.wire.encode import EARLIEST_MS, LATEST_MS

log = structlog.get_logger(__name__)

TOPIC = "quarantine"
_CUT_NOTE_BYTES = 256  # more than the note about a cut takes
_WAIT_SECONDS, _QUIET_SECONDS = 0.1, 30.0


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """The position of a record in its source topic."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the position written as TOPIC/PARTITION/OFFSET. Raise UserError for other text."""
        topic, *numbers = text.rsplit("/", 2)
        if not topic or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            raise UserError(
                f"{text!r} is not TOPIC/PARTITION/OFFSET, as printed by `millrace quarantine list`"
            )
        return cls(topic, int(numbers[0]), int(numbers[1]))

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(slots=True)
class Entry:
    """A record put aside; times in ms. `jobs` are those that put it here, in order."""

    position: Position
    source_time: int
    key: bytes | None
    value: bytes | None
    reason: str
    detail: str
    quarantined_at: int
    jobs: list[str]
    replayed: bool = False


@dataclass(slots=True)
class Quarantine:
    """The folded log: entries in order of arrival, whole, in memory."""

    entries: dict[Position, Entry] = field(default_factory=dict)
    unreadable: int = 0
    """Records in the topic that are not valid Quarantined records themselves."""
    _marked: set[Position] = field(default_factory=set)

    def add(self, record: Mapping[str, Any]) -> None:
        """Fold in one record (schema Quarantined)."""
        position = Position(
            record["source_topic"], record["source_partition"], record["source_offset"]
        )
        entry = self.entries.get(position)
        if record["replayed"]:
            self._marked.add(position)
        elif entry is None:
            entry = self.entries[position] = _entry(position, record)
        elif record["job"] not in entry.jobs:
            entry.jobs.append(record["job"])
        if entry is not None and position in self._marked:
            entry.replayed = True

    def open(self) -> list[Entry]:
        """Return the entries that are still aside."""
        return [entry for entry in self.entries.values() if not entry.replayed]

    def find(self, position: Position) -> Entry:
        """Return the entry at a position. Raise UserError if there is none."""
        try:
            return self.entries[position]
        except KeyError:
            raise UserError(f"{position} is not in quarantine") from None

    def reasons(self) -> dict[str, int]:
        """Return how many entries are still aside, by reason, the most frequent first."""
        return dict(Counter(entry.reason for entry in self.open()).most_common())


def _entry(position: Position, record: Mapping[str, Any]) -> Entry:
    return Entry(
        position=position,
        source_time=record["source_time"],
        key=record["key"],
        value=record["value"],
        reason=record["reason"],
        detail=record["detail"],
        quarantined_at=record["quarantined_at"],
        jobs=[record["job"]],
    )


def fold(values: Iterable[bytes | None], codec: Codec) -> Quarantine:
    """Fold the values of the topic, in order. Raise RetryableError if the registry is away."""
    quarantine = Quarantine()
    for value in values:
        try:
            quarantine.add(codec.decode(TOPIC, value))
        except UnreadableError as error:
            quarantine.unreadable += 1
            log.warning("record unreadable itself", topic=TOPIC, error=str(error))
    return quarantine


def read(bootstrap: str) -> Iterator[bytes | None]:
    """Yield the values of the topic `quarantine` from its beginning to its present end.

    Raise UserError if the topic does not exist, RetryableError if Kafka is away.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "millrace-quarantine",  # required by the client; nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        },
        logger=client_log,
    )
    try:
        yield from _until_end(consumer)
    except KafkaException as error:
        raise RetryableError(f"Kafka does not answer: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _until_end(consumer: Consumer) -> Iterator[bytes | None]:
    found = consumer.list_topics(TOPIC, timeout=10.0).topics[TOPIC]
    if found.error is not None or not found.partitions:
        raise UserError(f"there is no topic {TOPIC}: millrace topics apply")
    ends = {
        place: consumer.get_watermark_offsets(TopicPartition(TOPIC, place), 10.0)[1]
        for place in found.partitions
    }
    waiting = {place for place, end in ends.items() if end}
    consumer.assign([TopicPartition(TOPIC, place, 0) for place in waiting])
    quiet = 0.0
    while waiting:
        # `consume` returns early only with the full number asked for: wait briefly, or a short log
        # takes long to read.
        messages = consumer.consume(1000, timeout=_WAIT_SECONDS)
        quiet = 0.0 if messages else quiet + _WAIT_SECONDS
        if quiet >= _QUIET_SECONDS:
            raise RetryableError(
                f"nothing has arrived from {TOPIC} for {_QUIET_SECONDS:g} s: is Kafka up?"
            )
        for message in messages:
            if is_end(message):
                waiting.discard(message.partition())
                continue
            yield message.value()
            if message.offset() + 1 >= ends[message.partition()]:
                waiting.discard(message.partition())


def is_end(message: Message) -> bool:
    """Return whether it tells the end of a partition. Raise KafkaException for another error."""
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    raise KafkaException(error)


def put_aside(
    codec: Codec, message: Message, error: UnreadableError, *, job: str, now: int
) -> bytes:
    """Return the encoded quarantine record that holds a message whole, with the reason.

    `job` is the one that put it aside, `now` in ms.

    A message too large even for this topic is cut, and `detail` says so: poison that could not be
    put aside would stop its reader for good. Raise RetryableError if the registry is away.
    """
    record: dict[str, Any] = {
        "source_topic": message.topic(),
        "source_partition": message.partition(),
        "source_offset": message.offset(),
        # Producers set the timestamp, and some count in other units.
        "source_time": min(max(message.timestamp()[1], EARLIEST_MS), LATEST_MS),
        "key": message.key(),
        "value": message.value(),
        "reason": error.reason,
        "detail": error.detail,
        "job": job,
        "quarantined_at": now,
    }
    encoded = codec.encode(TOPIC, record)
    surplus = len(encoded) + len(record["source_topic"]) - topics()[TOPIC].room
    return codec.encode(TOPIC, _cut(record, surplus)) if surplus > 0 else encoded


def _cut(record: Mapping[str, Any], surplus: int) -> dict[str, Any]:
    """Return the record at least `surplus` bytes smaller: cut its value first, then its key."""
    smaller, told = dict(record), [record["detail"]]
    surplus += _CUT_NOTE_BYTES
    for name in ("value", "key"):
        whole = record[name] or b""
        kept = max(0, len(whole) - max(0, surplus))
        if kept < len(whole):
            smaller[name] = whole[:kept]
            told.append(f"too large: of its {name}'s {len(whole)} bytes the first {kept} are kept")
        surplus -= len(whole) - kept
    return {**smaller, "detail": "; ".join(filter(None, told))}

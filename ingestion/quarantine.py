"""What could not be read, and sending it again once it can.

The topic `quarantine` is a log: a record put aside, and later perhaps the mark (`replayed`) that it was produced again.
Folding the log gives what is still aside; the place in its source topic identifies a record, so one that two jobs put
aside, or one job twice after a restart, is one entry, and a mark holds wherever in the log it stands.

A replay produces, waits for the brokers, and only then writes the marks. So nothing marked is produced again, and
nothing is marked that was not produced. Interrupted between the two, at most one chunk is produced a second time, as
are records that two replays at once both take: harmless, because every reader recognises a record by its id and drops
the second.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from config.errors import RetryableError, UserError
from config.topics import topics
from ingestion.avro import Codec, UnreadableError
from ingestion.producer import DeliveryError, producer_config

log = logging.getLogger(__name__)

TOPIC = "quarantine"
HEADER = "millrace-replayed-from"
CHUNK = 500
_WAIT_SECONDS, _QUIET_SECONDS = 0.1, 30.0


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A record's place in its source topic."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """From TOPIC/PARTITION/OFFSET. Raises UserError."""
        topic, *numbers = text.rsplit("/", 2)
        if not topic or len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            raise UserError(f"{text!r} is no TOPIC/PARTITION/OFFSET, as `millrace quarantine list` prints them")
        return cls(topic, int(numbers[0]), int(numbers[1]))

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(slots=True)
class Entry:
    """A record put aside; times in ms. `jobs`: everyone who put it here, in the order they did."""

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
    """The log, folded: entries in order of arrival, whole, in memory."""

    entries: dict[Position, Entry] = field(default_factory=dict)
    unreadable: int = 0
    """Records in the topic that are no Quarantined themselves."""
    _marked: set[Position] = field(default_factory=set)

    def add(self, record: Mapping[str, Any]) -> None:
        """Fold one record (schema Quarantined) in."""
        position = Position(record["source_topic"], record["source_partition"], record["source_offset"])
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
        """What is still aside."""
        return [entry for entry in self.entries.values() if not entry.replayed]

    def find(self, position: Position) -> Entry:
        """One entry. Raises UserError where there is none."""
        try:
            return self.entries[position]
        except KeyError:
            raise UserError(f"{position} is not in quarantine") from None

    def reasons(self) -> dict[str, int]:
        """How many are still aside, by reason, the most frequent first."""
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
    """The values of the topic, in their order. Raises RetryableError where the registry is away."""
    quarantine = Quarantine()
    for value in values:
        try:
            quarantine.add(codec.decode(TOPIC, value))
        except UnreadableError as error:
            quarantine.unreadable += 1
            log.warning("a record in %s is unreadable itself: %s", TOPIC, error)
    return quarantine


def read(bootstrap: str) -> Iterator[bytes | None]:
    """The values of the topic `quarantine` from its beginning to where it ends now, without a group.

    Raises UserError where the topic does not exist, RetryableError where Kafka is away.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "millrace-quarantine",  # the client wants one; nothing is committed
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        },
        logger=log,
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
    ends = {place: consumer.get_watermark_offsets(TopicPartition(TOPIC, place), 10.0)[1] for place in found.partitions}
    waiting = {place for place, end in ends.items() if end}
    consumer.assign([TopicPartition(TOPIC, place, 0) for place in waiting])
    quiet = 0.0
    while waiting:
        # `consume` returns early only when it has all it was asked for: short waits, or a short log takes long.
        messages = consumer.consume(1000, timeout=_WAIT_SECONDS)
        quiet = 0.0 if messages else quiet + _WAIT_SECONDS
        if quiet >= _QUIET_SECONDS:
            raise RetryableError(f"nothing of {TOPIC} arrives for {_QUIET_SECONDS:g} s: is Kafka up?")
        for message in messages:
            if _is_end(message):
                waiting.discard(message.partition())
                continue
            yield message.value()
            if message.offset() + 1 >= ends[message.partition()]:
                waiting.discard(message.partition())


def _is_end(message: Message) -> bool:
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    raise KafkaException(error)


def attempt(codec: Codec, entry: Entry) -> dict[str, Any]:
    """The record as it decodes now. Raises UnreadableError, RetryableError."""
    if entry.position.topic not in topics():
        raise UnreadableError("refused", f"the topic {entry.position.topic} is not declared (any more)")
    return codec.decode(entry.position.topic, entry.value)


class Outbox(Protocol):
    """Where a replay sends: a producer that takes headers."""

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Take a record."""
        ...

    def flush(self) -> None:
        """Wait until all are acknowledged. Raises DeliveryError."""
        ...


class KafkaOutbox:
    """An `Outbox` into Kafka, with the settings of `ingestion.producer`."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(producer_config(bootstrap, "millrace-quarantine"), logger=log)
        self._errors: list[str] = []

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """See `Outbox.send`. A chunk fits the client's queue."""
        try:
            self._producer.produce(topic, value, key, headers=list(headers), on_delivery=self._done)
        except (BufferError, KafkaException) as error:
            raise DeliveryError(f"{topic}: {error}", 1) from error

    def flush(self) -> None:
        """See `Outbox.flush`."""
        left = self._producer.flush(60.0)
        errors, self._errors = self._errors, []
        if left or errors:
            raise DeliveryError(
                f"{left + len(errors)} records not delivered: {errors[0] if errors else 'no answer'}",
                left + len(errors),
            )

    def _done(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._errors.append(f"{message.topic()}: {error.str()}")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay did: `sent` were (or, dry, would be) produced; `stayed` with why; `before` had been already."""

    sent: tuple[Position, ...]
    stayed: tuple[tuple[Position, str], ...]
    before: tuple[Position, ...]


def replay(
    entries: Iterable[Entry],
    codec: Codec,
    outbox: Outbox,
    now: Callable[[], int],
    *,
    force: bool = False,
    dry: bool = False,
) -> Replayed:
    """Produce entries again, key and bytes as they were, where they decode now (`force`: whether or not).

    `now`: ms, for the marks. Raises RetryableError (DeliveryError too); what came before the chunk at hand is marked.
    """
    sent: list[Entry] = []
    stayed: list[tuple[Position, str]] = []
    before: list[Position] = []
    for entry in entries:
        if entry.replayed:
            before.append(entry.position)
            continue
        try:
            if not force:
                attempt(codec, entry)
        except UnreadableError as error:
            stayed.append((entry.position, str(error)))
        else:
            sent.append(entry)
    if not dry:
        for start in range(0, len(sent), CHUNK):
            _send(sent[start : start + CHUNK], codec, outbox, now)
    return Replayed(tuple(entry.position for entry in sent), tuple(stayed), tuple(before))


def _send(chunk: Sequence[Entry], codec: Codec, outbox: Outbox, now: Callable[[], int]) -> None:
    for entry in chunk:
        outbox.send(entry.position.topic, entry.key, entry.value, [(HEADER, str(entry.position).encode())])
    outbox.flush()
    for entry in chunk:
        outbox.send(TOPIC, entry.position.topic.encode(), codec.encode(TOPIC, _mark(entry, now())))
    outbox.flush()
    for entry in chunk:
        entry.replayed = True


def _mark(entry: Entry, now: int) -> dict[str, Any]:
    return {
        "source_topic": entry.position.topic,
        "source_partition": entry.position.partition,
        "source_offset": entry.position.offset,
        "source_time": entry.source_time,
        "reason": entry.reason,
        "detail": "produced again",
        "job": "quarantine replay",
        "quarantined_at": now,
        "replayed": True,
    }

"""Follow a topic: its records as they come, each decoded and checked against its contract."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from config.errors import RetryableError, UserError
from domain.times import moment, nearest
from ingestion.kafka.producer import client_log
from ingestion.wire.codec import Codec, UnreadableError

_ANSWER_S, _WAIT_S = 10.0, 0.2
_AT_ONCE = 500
BEGINNING, END = "beginning", "end"
# How long the brokers may be silent before it is told: a restart takes less.
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Line:
    """One record, decoded, or why it is not what its topic's contract says.

    `time` is Kafka's timestamp in ms, `name` the record's schema.
    """

    partition: int
    offset: int
    time: int
    key: bytes | None
    record: dict[str, Any] | None = None
    name: str = ""
    schema_id: int | None = None
    reason: str = ""
    detail: str = ""


@dataclass(slots=True)
class Tally:
    """Count the records that match the filter: by schema, and broken ones by reason."""

    records: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)

    def add(self, line: Line) -> None:
        """Count one record."""
        if line.record is None:
            self.broken[line.reason] += 1
        else:
            self.records[line.name] += 1

    @property
    def total(self) -> int:
        """Return the number of records counted."""
        return self.records.total() + self.broken.total()


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: the beginning, the end, an offset in each partition, or a time (ms)."""

    place: str
    number: int = 0

    @classmethod
    def parse(cls, text: str) -> Start:
        """Return the start that `text` says. Raise UserError for other text."""
        if text in (BEGINNING, END):
            return cls(text)
        if text.isdecimal():
            return cls("offset", int(text))
        try:
            when = moment(text)
        except ValueError:
            raise UserError(
                f"--from is {BEGINNING}, {END}, an offset or a time such as 2026-01-31T12:00, "
                f"not {text!r}"
            ) from None
        return cls("time", nearest(when))


def reader(bootstrap: str, *, tells_ends: bool = False) -> Consumer:
    """Return a client that reads without a group and commits nothing."""
    config = {
        "bootstrap.servers": bootstrap,
        "client.id": "millrace-tail",
        "group.id": "millrace-tail",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": tells_ends,
    }
    return Consumer(config, logger=client_log)


class Tail:
    """A topic from a start on. Raise RetryableError if Kafka is away, or the topic not there."""

    def __init__(
        self,
        consumer: Consumer,
        codec: Codec,
        topic: str,
        start: Start,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer, self._codec, self._topic, self._clock = consumer, codec, topic, clock
        try:
            self._ends = self._assign(start)
        except KafkaException as error:
            raise RetryableError(f"{topic} cannot be read: {error.args[0].str()}") from error

    def lines(
        self, *, follow: bool = True, key: str | None = None, only: str | None = None
    ) -> Iterator[Line]:
        """Yield the records with this key, or all; without `follow` those that are there now.

        With `only`, those of that schema alone: the others are not even decoded.
        """
        heard = self._clock()
        while follow or self._ends:
            messages = self._consumer.consume(_AT_ONCE, _WAIT_S)
            if messages:
                heard = self._clock()
            elif not follow and self._clock() - heard > _PATIENCE_S:
                raise RetryableError(f"{self._topic}: nothing came for {_PATIENCE_S:g} s")
            for message in messages:
                if self._wrong(message) or not (follow or self._wanted(message)):
                    continue
                if only and self._codec.name_of(self._topic, message.value()) != only:
                    continue
                if key is None or message.key() == key.encode():
                    yield self._line(message)

    @property
    def at_end(self) -> bool:
        """Return whether all records have been read that were there at the start."""
        return not self._ends

    def read(self) -> list[Line]:
        """Return the next records; none if none comes within a fifth of a second."""
        messages = self._consumer.consume(_AT_ONCE, _WAIT_S)
        found = [message for message in messages if not self._wrong(message)]
        for message in found:
            self._wanted(message)
        return [self._line(message) for message in found]

    def _assign(self, start: Start) -> dict[int, int]:
        """Begin to read, and return where the partitions end that are not at their end."""
        found = self._consumer.list_topics(self._topic, timeout=_ANSWER_S).topics[self._topic]
        if found.error is not None or not found.partitions:
            raise RetryableError(f"there is no topic {self._topic}: millrace topics apply")
        places = [TopicPartition(self._topic, number) for number in sorted(found.partitions)]
        times: dict[int, int] = {}
        if start.place == "time":
            asked = [TopicPartition(one.topic, one.partition, start.number) for one in places]
            answers = self._consumer.offsets_for_times(asked, timeout=_ANSWER_S)
            times = {one.partition: one.offset for one in answers if one.offset >= 0}
        ends = {}
        for place in places:
            low, high = self._consumer.get_watermark_offsets(place, timeout=_ANSWER_S)
            wanted = {
                BEGINNING: low,
                END: high,
                "offset": start.number,
                "time": times.get(place.partition, high),
            }[start.place]
            place.offset = min(max(wanted, low), high)
            if place.offset < high:
                ends[place.partition] = high
        self._consumer.assign(places)
        return ends

    def _wrong(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise RetryableError(f"{self._topic} cannot be read: {error.str()}")
        return True  # the client tries again by itself

    def _wanted(self, message: Message) -> bool:
        """Return whether a record was there at the beginning, and forget partitions at their end.

        The last offsets of a partition may hold no record, so one beyond says that it is through.
        """
        end = self._ends.get(message.partition(), 0)
        if message.offset() + 1 >= end:
            self._ends.pop(message.partition(), None)
        return bool(message.offset() < end)

    def _line(self, message: Message) -> Line:
        where = (message.partition(), message.offset(), message.timestamp()[1], message.key())
        try:
            decoded = self._codec.decoded(self._topic, message.value(), strict=True)
        except UnreadableError as error:
            return Line(*where, reason=error.reason, detail=error.detail)
        return Line(*where, decoded.record, decoded.name, decoded.schema_id)

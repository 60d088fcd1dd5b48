"""Rebuild a product's state in memory from a topic, when partitions are assigned.

A separate client, in no group, reads from the beginning (or from an age) to where the topic ended
when it began. The loop advances it in small steps and serves its group between them, so a
rebuilding may take long; it begins again when partitions come or go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from config.errors import RetryableError, UserError
from ingestion.wire.codec import Codec, UnreadableError
from ingestion.wire.heads import HeadReader
from serving.consumers.ledger import Place
from serving.consumers.product import Product, Rebuild, incoming
from serving.consumers.sieve import Sieve, heads_of

log = structlog.get_logger(__name__)
STEP = 5000
"""Records of a step at most: the group is served after each."""
_ANSWER_S = 5.0


def declared_by(product: Product) -> tuple[Rebuild, ...]:
    """Return what a product is rebuilt from, in order."""
    declared = product.rebuild
    if isinstance(declared, Rebuild):
        return (declared,)
    return declared or ()


class Rebuilding:
    """One product's rebuilding, in the loop's thread.

    `due` says that it has to advance before records may be handled, `told` how far it is. Until the
    first assignment it `waits`: what it will be rebuilt from follows from the partitions.
    """

    def __init__(
        self,
        product: Product,
        codec: Codec,
        reader: Callable[[], Consumer] | None,
        now: Callable[[], float],
    ) -> None:
        self._product, self._codec, self._new, self._now = product, codec, reader, now
        self._reader: Consumer | None = None
        self._ends: dict[int, int] = {}  # of the partitions not yet read to their end
        self._all = declared_by(product)
        self._at = 0  # which of them
        self._begun = False
        self._read = self._whole = self._taken = 0
        self._unreadable = 0
        self._sieve: Sieve | None = None
        self._heads: HeadReader | None = None
        self._hiding: set[bytes] = set()  # keys whose newest record has a head, but no more
        self._only: set[bytes] | None = None  # those of the first reading, in the second
        self.due = False
        self.waits = bool(self._all)

    def restart(self) -> None:
        """Begin again, because the assigned partitions changed."""
        self.due, self.waits = bool(self._all), False
        self._at, self._begun, self._only = 0, False, None

    @property
    def told(self) -> str:
        """Return the progress in words."""
        topic = self._all[self._at].topic if self.due else ""
        if not self._begun:
            return f"state will be rebuilt from {topic}"
        share = self._read / self._whole if self._whole else 1.0
        # In steps of a tenth: every other text is logged.
        progress = f"{int(share * 10) * 10}% of {self._whole} records"
        return f"state is being rebuilt from {topic}: {progress}"

    def advance(self, owned: Iterable[Place], seconds: float) -> None:
        """Read a step, waiting `seconds` at most for its first record.

        Raise RetryableError when Kafka does not answer; the next call then goes on.
        """
        if not self.due:
            return
        declared = self._all[self._at]
        try:
            if not self._begun:
                self._begin(declared, {number for _, number in owned})
            if self._ends:
                self._step(declared.topic, seconds)
        except KafkaException as error:
            raise RetryableError(f"{declared.topic} cannot be read: {error}") from error
        if not self._ends and self._sieve:
            self._hand_over(self._sieve.take(STEP), declared.topic)
        if not self._ends and not self._sieve:
            self._end(declared)

    def close(self) -> None:
        """Close the client."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _begin(self, declared: Rebuild, numbers: set[int]) -> None:
        if self._reader is None:
            if self._new is None:
                raise UserError(f"{self._product.name} has nothing to read {declared.topic} with")
            self._reader = self._new()
        reader = self._reader
        found = reader.list_topics(declared.topic, timeout=_ANSWER_S).topics[declared.topic]
        if found.error is not None or not found.partitions:
            raise RetryableError(f"there is no topic {declared.topic}: millrace topics apply")
        chosen = sorted(found.partitions if declared.everything else numbers & {*found.partitions})
        starts, self._ends, self._whole = [], {}, 0
        for place in self._starts(reader, declared, chosen):
            low, high = reader.get_watermark_offsets(place, timeout=_ANSWER_S)
            first = low if place.offset == OFFSET_BEGINNING else max(low, place.offset)
            if 0 <= first < high and place.offset != -1:
                starts.append(TopicPartition(place.topic, place.partition, first))
                self._ends[place.partition] = high
                self._whole += high - first
        reader.assign(starts)
        if self._at == 0 and self._only is None:
            self._product.clear_state()
        self._sieve, self._hiding = self._sieving(declared), set()
        self._begun, self._read, self._taken, self._unreadable = True, 0, 0, 0
        log.info("rebuilding", topic=declared.topic, partitions=chosen, records=self._whole)

    def _sieving(self, declared: Rebuild) -> Sieve | None:
        newest, topic = declared.newest, declared.topic
        if newest is None:
            return None
        self._heads = heads = heads_of(self._codec, topic, newest)
        if self._only is None:
            return Sieve(newest, heads)
        return Sieve(
            newest, heads, lambda one: self._codec.readable(topic, one.value()), self._only
        )

    def _starts(
        self, reader: Consumer, declared: Rebuild, chosen: list[int]
    ) -> list[TopicPartition]:
        if declared.age_ms is None:
            return [TopicPartition(declared.topic, one, OFFSET_BEGINNING) for one in chosen]
        since = int(self._now() * 1000) - declared.age_ms
        asked = [TopicPartition(declared.topic, one, since) for one in chosen]
        # A partition without a record as new as that is answered with its end, -1.
        return list(reader.offsets_for_times(asked, timeout=_ANSWER_S)) if asked else []

    def _step(self, topic: str, seconds: float) -> None:
        reader = self._reader
        if reader is None:
            return
        messages = reader.consume(1, seconds)
        messages += reader.consume(STEP - 1, 0) if messages else []
        good = []
        for message in messages:
            error, number = message.error(), message.partition()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    self._ends.pop(number, None)
                elif error.fatal():
                    raise KafkaException(error)
                continue
            if number not in self._ends or message.offset() >= self._ends[number]:
                self._ends.pop(number, None)
                continue
            good.append(message)
            if message.offset() + 1 >= self._ends[number]:
                del self._ends[number]
        self._read += len(good)
        self._hand_over(self._sieve.add(good) if self._sieve is not None else good, topic)

    def _hand_over(self, messages: Sequence[Message], topic: str) -> None:
        for message in messages:
            self._take(message, topic)

    def _take(self, message: Message, topic: str) -> None:
        value = message.value()
        try:
            decoded = self._codec.decoded(topic, value)
        except UnreadableError:
            self._unreadable += 1  # it was put aside when it was handled
            if self._sieve is not None and self._heads is not None:
                self._hiding.update(filter(None, self._heads.read([value or b""]).texts))
            return
        self._taken += 1
        self._product.restore_state(incoming(message, decoded.record, decoded.name))

    def _end(self, declared: Rebuild) -> None:
        self._begun = False
        if self._only is None and self._hiding:
            self._only = self._hiding
            log.info("reading again what unreadable records hid", keys=len(self._hiding))
            return
        self._at, self._only = self._at + 1, None
        self.due = self._at < len(self._all)
        if self._reader is not None:
            self._reader.assign([])
        log.info(
            "rebuilt",
            topic=declared.topic,
            records=self._read,
            taken=self._taken,
            unreadable=self._unreadable,
        )

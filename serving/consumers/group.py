"""Take part in a consumer group: assigned partitions, reading, commits and lag.

Every call blocks the loop's thread only as long as it says; partitions come and go inside `read`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from serving.consumers.attempts import Attempts
from serving.consumers.ledger import Entry, Ledger, Place
from serving.consumers.metrics import Metrics

log = structlog.get_logger(__name__)
_ANSWER_S = 5.0


class Group:
    """Read the topics of one product.

    `before_leaving` is called while the departing partitions are still ours, `changed` after any
    that came or went.
    """

    def __init__(
        self,
        consumer: Consumer,
        topics: Sequence[str],
        metrics: Metrics,
        attempts: Attempts,
        *,
        ticking: bool,
        before_leaving: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self.consumer, self._topics = consumer, list(topics)
        self._metrics, self._attempts = metrics, attempts
        self._before_leaving, self._changed = before_leaving, changed
        self.ledger = Ledger(ticking=ticking)
        self.owned: set[Place] = set()
        self._pending: list[Message] = []  # read while waiting, handled next

    def join(self) -> None:
        """Subscribe to the topics."""
        self.consumer.subscribe(
            self._topics,
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )

    # Reading

    def next_batch(self, size: int, idle: float) -> list[Message]:
        """Return the available records, at most `size`; wait up to `idle` seconds for the first."""
        # consume(n, timeout) would wait for n records or the whole timeout, so wait for one, then
        # take the rest without waiting.
        first = self._pending or self._read(1, idle)
        self._pending = []
        left = size - len(first)
        return first + self._read(left, 0) if first and left > 0 else first

    def keep(self, messages: list[Message]) -> None:
        """Return these later, before any record read next."""
        self._pending = messages + self._pending

    def hold(self) -> None:
        """Pause reading until `resume`."""
        self.consumer.pause(self.consumer.assignment())

    def resume(self) -> None:
        """Resume reading."""
        self.consumer.resume(self.consumer.assignment())

    def serve(self, seconds: float) -> None:
        """Serve the group while paused; records that arrive all the same are kept for later."""
        came = self._read(1, seconds)  # may take partitions away, with their pending records
        self._pending += came

    def _read(self, count: int, timeout: float) -> list[Message]:
        return [
            message for message in self.consumer.consume(count, timeout) if self._readable(message)
        ]

    def _readable(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.fatal():
            raise KafkaException(error)
        # The client recovers from these itself: broker away, topic not there yet.
        log.warning("kafka", error=error.str())
        return False

    # Offsets

    def open(self, messages: Iterable[Message]) -> Entry:
        """Enter a batch in the ledger."""
        owned, positions = self.owned, {}
        for message in messages:
            place = (message.topic(), message.partition())
            if place in owned:
                positions[place] = message.offset() + 1
        return self.ledger.open(positions)

    def commit(self, until: float, *, asynchronous: bool) -> None:
        """Commit what was settled by `until`. Raise KafkaException if that fails at once."""
        offsets = [
            TopicPartition(*place, offset)
            for place, offset in self.ledger.committable(until).items()
        ]
        if offsets:
            self.consumer.commit(offsets=offsets, asynchronous=asynchronous)
            self._metrics.commits.inc()

    def note(self, noted: Mapping[Place, str]) -> None:
        """Store metadata with the committed offsets. Raise KafkaException."""
        found = self.consumer.committed(
            [TopicPartition(*place) for place in noted if place in self.owned], timeout=_ANSWER_S
        )
        offsets = []
        for one in found:
            offset = one.offset
            if offset < 0:  # nothing committed yet: reading began at the beginning
                offset, _ = self.consumer.get_watermark_offsets(one, timeout=_ANSWER_S)
            metadata = noted[one.topic, one.partition]
            offsets.append(TopicPartition(one.topic, one.partition, offset, metadata=metadata))
        if offsets:
            self.consumer.commit(offsets=offsets, asynchronous=False)

    # The group

    def _assigned(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self.owned |= _places(partitions)
        log.info("assigned", partitions=_told(self.owned))
        try:
            self._attempts.load(self.consumer.committed(partitions, timeout=_ANSWER_S))
        except KafkaException as error:
            log.warning("earlier attempts are unknown", error=str(error))
        self._changed()

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._before_leaving()
        self._leave(partitions)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(partitions)

    def _leave(self, partitions: list[TopicPartition]) -> None:
        gone = _places(partitions)
        self.owned -= gone
        self._pending = [one for one in self._pending if (one.topic(), one.partition()) not in gone]
        self.ledger.forget(gone)
        for place in gone:
            self._metrics.forget_lag(*place)
        log.info("revoked", partitions=_told(gone))
        self._changed()

    # Lag

    def measure_lag(self) -> None:
        """Publish how many records of each partition are still unread."""
        places = self.consumer.position([TopicPartition(*place) for place in self.owned])
        begun = [place for place in places if place.offset >= 0]
        for place in begun + self._not_begun([place for place in places if place.offset < 0]):
            low, high = self.consumer.get_watermark_offsets(place, timeout=1, cached=True)
            if high >= 0:
                behind = max(0, high - max(place.offset, low, 0))
                self._metrics.set_lag(place.topic, place.partition, behind)

    def _not_begun(self, places: list[TopicPartition]) -> list[TopicPartition]:
        """Return where reading will begin in partitions of which nothing was read yet.

        That is what the group has committed.
        """
        try:
            return self.consumer.committed(places, timeout=1) if places else []
        except KafkaException:
            return []  # the broker is away: asked again in a second


def _places(partitions: Iterable[TopicPartition]) -> set[Place]:
    return {(partition.topic, partition.partition) for partition in partitions}


def _told(places: Iterable[Place]) -> list[str]:
    return [f"{topic}/{partition}" for topic, partition in sorted(places)]

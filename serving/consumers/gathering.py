"""Gather a backlog, and hand on what of it counts once it is over; most of it is never decoded.

For products of whose records only the newest of a key counts (`Product.gather`). A backlog is when
many records come at once whose events entered the system long ago: a replay, or a job that starts
again after hours. Records of now are never gathered, however many come.

Age is judged by partition, so that a partition that is behind holds back no other.

What is gathered is held as a rebuilding holds it, in the same bounds. Its offsets are committed
once all of it is handled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import Message

from ingestion.wire.codec import Codec, UnreadableError
from serving.consumers.product import Gather, Product, incoming
from serving.consumers.sieve import Sieve, heads_of

log = structlog.get_logger(__name__)
LOOK_S = 0.25
"""How often it is judged whether a backlog is over."""
MOST_S = 60.0
"""After so long what was gathered is handed on, whether the backlog is over or not."""


class Gathering:
    """One product's, in the loop's thread. `now` is wall time in seconds, `clock` only grows."""

    def __init__(
        self,
        product: Product,
        codec: Codec,
        now: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._product, self._codec, self._now, self._clock = product, codec, now, clock
        self._sieve: Sieve | None = None
        self._gathered = self._came = 0
        self._begun = self._looked = 0.0
        self.active = False
        """True while a backlog is being gathered."""

    @property
    def ready(self) -> bool:
        """Return whether gathered records wait to be handled."""
        return not self.active and self.holds

    @property
    def holds(self) -> bool:
        """Return whether there are gathered records."""
        return bool(self._sieve)

    def sift(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Gather a batch's records, if it is a backlog's; return what is to be handled now.

        Nothing is gathered before all that was is handled. Raise RetryableError (registry away);
        the same messages may then come again.
        """
        declared = self._product.gather
        if declared is None or self.ready:
            return messages
        behind = self._behind(declared, messages)
        own, rest = list[Message](), list[Message]()
        for one in messages:
            gathers = one.topic() == declared.topic and one.partition() in behind
            (own if gathers else rest).append(one)
        if not self.active and len(own) < declared.many:
            return messages
        strange = self._of(declared).add(own) if own else []
        if not self.active:
            self._begin(declared)
        self._came += len(own)
        self._gathered += len(own) - len(strange)
        if self._clock() - self._looked >= LOOK_S:
            self._look(declared)
        return [*rest, *strange]

    def rest(self) -> None:
        """Note that no record has come."""
        declared = self._product.gather
        if declared is not None and self.active and self._clock() - self._looked >= LOOK_S:
            self._look(declared)

    def take(self, count: int) -> tuple[list[Message], int]:
        """Remove and return up to `count` records, and how many were found to be out of date."""
        if self._sieve is None:
            return [], 0
        folded = self._gathered - len(self._sieve)
        messages = self._sieve.take(count)
        self._gathered = len(self._sieve)
        return messages, folded

    def _begin(self, declared: Gather) -> None:
        self.active, self._begun = True, self._clock()
        self._looked, self._came = self._begun, 0
        log.info("gathering a backlog", topic=declared.topic)

    def _look(self, declared: Gather) -> None:
        """End where little of a backlog has come since it was looked last, or after a minute."""
        moment, few = self._clock(), self._came < declared.many
        self._came, self._looked = 0, moment
        if few or moment - self._begun > MOST_S:
            self.active = False
            held = len(self._sieve or ())
            log.info("gathered", topic=declared.topic, records=self._gathered, held=held)

    def _behind(self, declared: Gather, messages: Sequence[Message]) -> set[int]:
        """Return the partitions whose last record is old. A batch too small to begin has none."""
        if not self.active and len(messages) < declared.many:
            return set()
        last = {one.partition(): one for one in messages if one.topic() == declared.topic}
        return {number for number, one in last.items() if self._is_old(declared, one)}

    def _is_old(self, declared: Gather, message: Message) -> bool:
        try:
            decoded = self._codec.decoded(declared.topic, message.value())
        except UnreadableError:
            return False
        origin = self._product.origin(incoming(message, decoded.record, decoded.name))
        return self._now() - origin / 1000 > declared.old_s

    def _of(self, declared: Gather) -> Sieve:
        if self._sieve is None:
            topic, newest = declared.topic, declared.newest
            heads = heads_of(self._codec, topic, newest)
            self._sieve = Sieve(newest, heads, lambda one: self._codec.readable(topic, one.value()))
        return self._sieve

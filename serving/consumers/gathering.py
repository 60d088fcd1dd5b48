"""Gather a backlog, and hand on what of it counts once it is over, before any of it is decoded.

For products of whose records only the newest of a key counts (`Product.gather`). A backlog is when
many records come at once whose events entered the system long ago: a replay, or a job that starts
again after hours. Records of now are never gathered, however many come.

What is gathered is held as a rebuilding holds it, in the same bounds, and its offsets are
committed: such a product is rebuilt from the topic's beginning when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import Message

from ingestion.wire.codec import Codec, UnreadableError
from ingestion.wire.heads import HeadReader
from serving.consumers.product import Gather, Product, incoming
from serving.consumers.sieve import Sieve

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
        """Whether a backlog is being gathered."""

    @property
    def ready(self) -> bool:
        """Return whether gathered records wait to be handled."""
        return not self.active and bool(self._sieve)

    def sift(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Gather a batch's records, if it is a backlog's; return what is to be handled now."""
        declared = self._product.gather
        if declared is None:
            return messages
        own = [one for one in messages if one.topic() == declared.topic]
        if not self.active and not self._begins(declared, own):
            return messages
        self._came += len(own)
        strange = self._of(declared).add(own)
        self._gathered += len(own) - len(strange)
        rest = [one for one in messages if one.topic() != declared.topic]
        if self._clock() - self._looked >= LOOK_S:
            self._look(declared, own)
        return [*rest, *strange]

    def rest(self) -> None:
        """Note that no record has come."""
        declared = self._product.gather
        if declared is not None and self.active and self._clock() - self._looked >= LOOK_S:
            self._look(declared, [])

    def take(self, count: int) -> tuple[list[Message], int]:
        """Remove and return up to `count` records, and how many were found to be out of date."""
        if self._sieve is None:
            return [], 0
        folded = self._gathered - len(self._sieve)
        messages = self._sieve.take(count)
        self._gathered = len(self._sieve)
        return messages, folded

    def _begins(self, declared: Gather, own: Sequence[Message]) -> bool:
        if len(own) < declared.many or not self._is_old(declared, own[-1]):
            return False
        self.active, self._begun = True, self._clock()
        self._looked, self._came = self._begun, 0
        log.info("gathering a backlog", topic=declared.topic)
        return True

    def _look(self, declared: Gather, own: Sequence[Message]) -> None:
        """End where little has come since it was looked last, or what comes is of now."""
        moment, few = self._clock(), self._came < declared.many
        self._came, self._looked = 0, moment
        young = bool(own) and not self._is_old(declared, own[-1])
        if few or young or moment - self._begun > MOST_S:
            self.active = False
            held = len(self._sieve or ())
            log.info("gathered", topic=declared.topic, records=self._gathered, held=held)

    def _is_old(self, declared: Gather, message: Message) -> bool:
        try:
            decoded = self._codec.decoded(declared.topic, message.value())
        except UnreadableError:
            return False
        origin = self._product.origin(incoming(message, decoded.record, decoded.name))
        return self._now() - origin / 1000 > declared.old_s

    def _of(self, declared: Gather) -> Sieve:
        if self._sieve is None:
            encoder = self._codec.encoder(declared.topic)
            newest = declared.newest
            reader = HeadReader(encoder.schema, encoder.prefix, newest.key, newest.version)
            self._sieve = Sieve(newest, reader)
        return self._sieve

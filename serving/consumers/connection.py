"""Track whether the brokers can be reached, as far as the client knows."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException

log = structlog.get_logger(__name__)

_ASK_EVERY_S = _ANSWER_S = 1.0


class Connection:
    """Track whether a broker answers.

    The client reports only once that all brokers are gone, and never that one is back, so they are
    then queried. Records that still arrive prove nothing: they may come out of the client's own
    queue.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._trouble = ""
        self._next = 0.0

    def failed(self, error: KafkaError) -> None:
        """Handle the client's `error_cb`; `consume` calls it, so in the loop's thread."""
        log.warning("kafka", error=error.str())
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._trouble = error.str()
            self._next = self._clock() + _ASK_EVERY_S

    def trouble(self, consumer: Consumer) -> str | None:
        """Return what is wrong, or None if no trouble is known.

        Block for a second at most, and only while something is wrong.
        """
        if self._trouble and self._clock() >= self._next:
            try:
                consumer.list_topics(timeout=_ANSWER_S)
            except KafkaException:
                self._next = self._clock() + _ASK_EVERY_S
            else:
                self._trouble = ""
        return self._trouble or None

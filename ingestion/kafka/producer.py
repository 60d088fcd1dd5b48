"""Produce records behind one interface: callers use `Sink`, `KafkaSink` is the real one.

A sink never blocks for ever and never drops silently: `send` waits while the queue is full, and a
failed delivery is counted, kept and raised by the next `flush`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from config.errors import RetryableError
from config.topics import largest_message

log = structlog.get_logger(__name__)
# The C library's own lines, which would go to standard error as they are.
client_log = logging.getLogger("kafka")

_POLL_EVERY = 1000
_KEPT_ERRORS = 10
_SLICE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    """A record that was not delivered, and the reason."""

    topic: str
    key: bytes | None
    error: str


Sent = tuple[Any, ...]
"""Topic, key and value of a record, and perhaps more."""


class DeliveryError(RetryableError):
    """Raised when records were not delivered.

    `failures` holds the first ones, `count` says how many there are in all.
    """

    def __init__(
        self, message: str, count: int, failures: tuple[DeliveryFailure, ...] = ()
    ) -> None:
        super().__init__(message)
        self.count, self.failures = count, failures


class Sink(Protocol):
    """A destination of records. Order is kept per topic and key; delivery is at least once."""

    @property
    def delivered(self) -> int:
        """Return the number of records acknowledged so far, over all topics."""
        ...

    @property
    def pending(self) -> int:
        """Return the number of records sent that are neither acknowledged nor failed."""
        ...

    def send(self, topic: str, key: bytes | str | None, value: bytes | None) -> None:
        """Enqueue a record, waiting while the queue is full.

        Raise DeliveryError if it is still full at the deadline.
        """
        ...

    def send_all(self, records: Iterable[Sent]) -> None:
        """Enqueue records as `send` does, more cheaply; what follows the first three is ignored."""
        ...

    def flush(self, patience: float | None = None) -> None:
        """Wait until every record sent is acknowledged.

        Raise DeliveryError for failures since the last flush, and if no further record was
        acknowledged for `patience` seconds. With None, wait as long as one record may take.
        """
        ...

    def close(self) -> None:
        """Flush and release the client. Sending afterwards raises RuntimeError."""
        ...


def producer_config(
    bootstrap: str, client_id: str = "millrace", **overrides: Any
) -> dict[str, Any]:
    """Return librdkafka settings for throughput without loss.

    Idempotent with acks from all replicas; lz4; a batch waits 20 ms to fill; `murmur2_random`
    partitions keys as Java clients (Flink's sink) do; five minutes of retries, to survive the
    restart of a broker; messages as large as any topic takes (the client counts them uncompressed,
    the broker as they arrive).
    """
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": 20,
        "batch.size": 1_000_000,
        "message.max.bytes": largest_message(),
        "queue.buffering.max.messages": 200_000,
        "queue.buffering.max.kbytes": 262_144,
        "partitioner": "murmur2_random",
        "delivery.timeout.ms": 300_000,
        "reconnect.backoff.max.ms": 1000,
        **overrides,
    }


def drain(producer: Producer, patience: float, clock: Callable[[], float] = time.monotonic) -> int:
    """Wait until nothing is pending, while progress is made; return how many records are left.

    `patience` is the number of seconds without progress after which the rest is given up. A
    deadline for all of it would depend on how much there is: a broker that restarts takes half a
    minute before the first record moves.
    """
    left = len(producer)
    deadline = clock() + patience
    while left and (now := clock()) < deadline:
        still = producer.flush(min(deadline - now, _SLICE_SECONDS))
        if still < left:
            left, deadline = still, clock() + patience
    return left


class KafkaSink:
    """A `Sink` into Kafka, for one thread at a time; one instance per process is enough.

    `queue_timeout` is how many seconds `send` waits for room. Further keywords are librdkafka
    settings.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        client_id: str = "millrace",
        queue_timeout: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
        **overrides: Any,
    ) -> None:
        # A call into Python for each acknowledgement would cost half of what sending does.
        config = {
            **producer_config(bootstrap, client_id, **overrides),
            "delivery.report.only.error": True,
        }
        self._producer = Producer(config, logger=client_log)
        self._queue_timeout, self._clock = queue_timeout, clock
        # After this many seconds the client has given up a record itself, with a reason (0: never).
        self._patience = config["delivery.timeout.ms"] / 1000 or math.inf
        # `_settled`: acknowledged when nothing was pending last.
        self._sent = self._failed = self._settled = 0
        self._failed_since_flush = 0
        self._failures: list[DeliveryFailure] = []
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:  # keep the first error visible
            self._closed = True
            self._producer.flush(5.0)
            self._settle()

    @property
    def delivered(self) -> int:
        """Return the number of records acknowledged so far."""
        return self._sent - self._failed - self.pending

    @property
    def failed(self) -> int:
        """Return the number of records given up so far."""
        return self._failed

    @property
    def pending(self) -> int:
        """Return the number of records sent that are neither acknowledged nor failed."""
        # The client's queue may hold events of its own besides.
        return min(len(self._producer), self._sent - self._failed - self._settled)

    def send(self, topic: str, key: bytes | str | None, value: bytes | None) -> None:
        """Enqueue a record; see `Sink.send`.

        Raise DeliveryError at once for a record that can never be sent (too large, unknown topic).
        """
        self.send_all(((topic, key, value),))

    def send_all(self, records: Iterable[Sent]) -> None:
        """Enqueue records; see `Sink.send_all`. Raise as `send` does; those before it are sent."""
        if self._closed:
            raise RuntimeError("the sink is closed")
        produce, on_failure = self._producer.produce, self._on_failure
        sent = self._sent
        try:
            for record in records:
                topic, key, value = record[0], record[1], record[2]
                try:
                    produce(topic, value, key, on_delivery=on_failure)
                except BufferError:
                    self._sent = sent
                    self._wait_and_send(topic, key, value)
                except KafkaException as error:
                    raise self._refused(topic, key, error) from error
                sent += 1
                if not sent % _POLL_EVERY:
                    self._producer.poll(0)
        finally:
            self._sent = sent

    def flush(self, patience: float | None = None) -> None:
        """Wait for all acknowledgements; see `Sink.flush`."""
        patience = self._patience if patience is None else patience
        left = drain(self._producer, patience, self._clock)
        self._settle()
        if left:
            raise DeliveryError(f"{left} records not acknowledged, none for {patience:g} s", left)
        if self._failed_since_flush:
            count, first = self._failed_since_flush, tuple(self._failures)
            self._failed_since_flush, self._failures = 0, []
            raise DeliveryError(
                f"{count} records not delivered, the first: {first[0].error}", count, first
            )

    def close(self) -> None:
        """Flush and release the client; see `Sink.close`."""
        if not self._closed:
            self._closed = True
            self.flush()

    def _wait_and_send(self, topic: str, key: bytes | str | None, value: bytes | None) -> None:
        deadline = self._clock() + self._queue_timeout
        while True:
            self._producer.poll(0.1)
            try:
                self._producer.produce(topic, value, key, on_delivery=self._on_failure)
            except BufferError:
                if self._clock() >= deadline:
                    message = (
                        f"no room in the producer's queue for {self._queue_timeout:g} s: "
                        "is Kafka up?"
                    )
                    raise DeliveryError(message, self.pending) from None
            else:
                return

    def _refused(self, topic: str, key: bytes | str | None, error: KafkaException) -> DeliveryError:
        raw = key.encode() if isinstance(key, str) else key
        return DeliveryError(
            f"{topic}: {error.args[0].str()}",
            1,
            (DeliveryFailure(topic, raw, error.args[0].str()),),
        )

    def _on_failure(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            return
        topic = message.topic() or ""
        self._failed += 1
        self._failed_since_flush += 1
        if len(self._failures) < _KEPT_ERRORS:
            self._failures.append(DeliveryFailure(topic, _bytes(message.key()), error.str()))
            log.warning("record not delivered", topic=topic, error=error.str())

    def _settle(self) -> None:
        """Note what is acknowledged once nothing is pending."""
        if not self.pending:
            self._settled = self._sent - self._failed


def _bytes(key: Any) -> bytes | None:
    return key.encode() if isinstance(key, str) else key

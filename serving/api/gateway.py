"""Ask a synchronous question over an asynchronous path.

Produce an event, then wait for its answer on another topic.

Three threads run beside the event loop: one serves the producer's confirmations, one reads the
answers from the topic's end, one looks after registry and brokers. None ends before `close`: an
exception of a step is reported in `trouble` and the step is repeated. Every API process reads all
answers and keeps those that one of its requests waits for, so any number of processes can run.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Self

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from config.errors import RetryableError, UserError, without_credentials
from ingestion.kafka.producer import client_log, producer_config
from ingestion.wire.codec import Codec, UnreadableError

log = structlog.get_logger(__name__)

RETRY_S = 1.0
REFRESH_S = 30.0  # between two checks of the brokers when none of them reports an error
QUEUE = {"linger.ms": 0, "socket.nagle.disable": True, "queue.buffering.max.messages": 10_000}


class AwayError(Exception):
    """Raised when the event cannot be accepted now; the message says why."""


class Gateway:
    """Send events to the topic `requests` and match the records of `answers` to them by key.

    Without `answers` it only sends.

    `trouble` says, by part, what keeps it from working now; it is empty when all is well.
    `give_up_ms` is how long an event may wait for its confirmation; `also` names further records of
    the topic that are sent.
    """

    PARTS = ("registry", "kafka", "confirmations", "answers")

    def __init__(
        self,
        bootstrap: str,
        codec: Codec,
        requests: str,
        answers: str | None = None,
        *,
        give_up_ms: int = 10_000,
        also: tuple[str, ...] = (),
    ) -> None:
        self._codec, self._requests, self._answers = codec, requests, answers
        self._bootstrap, self._give_up_ms, self._also = bootstrap, give_up_ms, also
        self._producer = self._new_producer()
        # Only `_listen` and what it calls use it.
        self._consumer: Any = self._new_consumer() if answers else None
        self._fatal: KafkaError | None = None
        self._waiting: defaultdict[bytes, list[asyncio.Future[dict[str, Any]]]] = defaultdict(list)
        # partitions of the answers, as the brokers list them
        self._partitions: frozenset[int] = frozenset()
        self._followed: frozenset[int] = frozenset()  # partitions that are read
        self._stop, self._due, self._listed = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.trouble: dict[str, str] = dict.fromkeys(self.PARTS, "not asked yet")
        if answers is None:
            del self.trouble["answers"]

    def start(self) -> None:
        """Start the threads. Call inside the event loop that makes the requests."""
        self._loop = asyncio.get_running_loop()
        listening = () if self._answers is None else (self._listen,)
        for work in (self._serve, self._watch, *listening):
            thread = threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True)
            thread.start()
            self._threads.append(thread)

    async def close(self) -> None:
        """Stop the threads; produced events are still sent, for two seconds at most."""
        self._stop.set()
        self._due.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        await asyncio.to_thread(self._producer.flush, 2.0)

    async def __aenter__(self) -> Self:
        """Start."""
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    def encode(self, record: dict[str, Any], name: str | None = None) -> bytes:
        """Return the request's bytes. Raise AwayError (no schema id yet) or RefusedError.

        `name` is that of one of the topic's records; None stands for the first.
        """
        trouble = self.trouble.get("registry")
        if trouble is not None:
            raise AwayError(f"schema registry: {trouble}")
        return self._codec.encode(self._requests, record, name)

    def expect(self, key: bytes) -> asyncio.Future[dict[str, Any]]:
        """Return a future for the answer to `key`. Pair with `forget`."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[key].append(future)
        return future

    def forget(self, key: bytes, future: asyncio.Future[dict[str, Any]]) -> None:
        """Stop waiting for the answer."""
        self._waiting[key].remove(future)
        if not self._waiting[key]:
            del self._waiting[key]

    def produce(self, key: str, value: bytes | None) -> asyncio.Future[None]:
        """Send; the future is done when the broker has it, or fails with AwayError.

        Without a value it is a tombstone, by which a compacted topic forgets the key.

        Raise AwayError if the queue is full.
        """
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[None] = loop.create_future()
        # mark as retrieved, even if no request waits any more
        sent.add_done_callback(asyncio.Future.exception)

        def settle(error: KafkaError | None) -> None:
            if sent.done():
                return
            if error is None:
                sent.set_result(None)
            else:
                sent.set_exception(AwayError(error.str()))

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                self._due.set()  # a broker that hangs reports no error
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, error)

        try:
            self._producer.produce(self._requests, value, key, on_delivery=delivered)
        except (BufferError, KafkaException) as error:
            raise AwayError(f"the producer takes no more: {error}") from error
        return sent

    # Threads

    def _try(self, part: str, step: Callable[[], None]) -> bool:
        """Do a step of a thread's work and return whether it succeeded.

        An exception becomes the part's trouble until the next success.

        Catch everything, as a thread that ended would go unnoticed.
        """
        try:
            step()
        except Exception as error:
            trouble = _told(error)
            if self.trouble.get(part) != trouble:
                log.warning("unhealthy", part=part, error=trouble)
            self.trouble[part] = trouble
            self._stop.wait(RETRY_S)
            return False
        if self.trouble.pop(part, None) is not None:
            log.info("recovered", part=part)
        return True

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._try("confirmations", self._confirm)

    def _confirm(self) -> None:
        self._producer.poll(0.5)
        if self._fatal is not None:
            self._renew(self._fatal)

    def _renew(self, fatal: KafkaError) -> None:
        """Replace the producer: one that failed fatally accepts nothing any more."""
        old, self._producer = self._producer, self._new_producer()
        old.purge()
        old.flush(2.0)  # fails the futures of unconfirmed events
        self._fatal = None
        raise AwayError(f"the producer failed, a new one takes its place: {fatal.str()}")

    def _fault(self, error: KafkaError) -> None:
        """Handle an error reported by the producer.

        Only a query of the brokers tells an outage from idle connections that they closed.
        """
        if error.fatal():
            self._fatal = error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._due.set()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._due.clear()
            prepared, seen = self._try("registry", self._prepare), self._try("kafka", self._look)
            if prepared and seen:
                self._due.wait(REFRESH_S)

    def _prepare(self) -> None:
        for name in (None, *self._also):
            self._codec.encoder(self._requests, name)

    def _look(self) -> None:
        """Check that a broker answers, and update the list of partitions."""
        # all of them, as asking for one could create it
        topics = self._producer.list_topics(timeout=2).topics
        for name in filter(None, (self._requests, self._answers)):
            if name not in topics or not topics[name].partitions:
                raise AwayError(f"no topic {name}: run `millrace topics apply`")
        self._partitions = frozenset(topics[self._answers].partitions if self._answers else ())
        self._listed.set()

    def _listen(self) -> None:
        try:
            while not self._stop.is_set():
                if self._listed.wait(0.5):
                    self._try("answers", self._hear)
        finally:
            self._consumer.close()

    def _hear(self) -> None:
        new = self._partitions - self._followed
        if new:
            self._follow(new)
        message = self._consumer.poll(0.5)
        if message is not None:
            self._take(message)

    def _follow(self, new: frozenset[int]) -> None:
        """Read further partitions.

        Partitions added while this process runs are read from their beginning.

        The first ones are read from their present end, resolved to a number: an end that is
        resolved later could skip an answer.
        """
        starts = (
            dict.fromkeys(new, OFFSET_BEGINNING)
            if self._followed
            else {place: self._end(place) for place in new}
        )
        self._consumer.incremental_assign(
            [TopicPartition(self._answers, *start) for start in starts.items()]
        )
        self._followed |= new

    def _end(self, partition: int) -> int:
        end: int = self._consumer.get_watermark_offsets(
            TopicPartition(self._answers, partition), timeout=2
        )[1]
        return end

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            log.warning("kafka", error=error.str())
            return
        key = message.key()
        if key not in self._waiting:
            return
        try:
            answer = self._codec.decode(self._answers or "", message.value())
        except (UnreadableError, RetryableError) as trouble:
            # The request that waits for it gets a link at the deadline.
            log.warning("answer not read", error=str(trouble))
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, key, answer)

    def _deliver(self, key: bytes, answer: dict[str, Any]) -> None:
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(answer)

    # Clients

    def _new_producer(self) -> Producer:
        overrides = {**QUEUE, "delivery.timeout.ms": self._give_up_ms, "error_cb": self._fault}
        return Producer(
            producer_config(self._bootstrap, "millrace-api", **overrides), logger=client_log
        )

    def _new_consumer(self) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                # required by the client; never subscribed, never committed
                "group.id": "millrace-api",
                "enable.auto.commit": False,
                "socket.nagle.disable": True,
                "reconnect.backoff.max.ms": 1000,
            },
            logger=client_log,
        )


def _told(error: Exception) -> str:
    """Return the error in words fit for /readyz."""
    if isinstance(error, KafkaException):
        text = error.args[0].str()
    elif isinstance(error, AwayError | RetryableError | UserError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    return without_credentials(text)

"""The synchronous question over an asynchronous path: produce an event, wait for its answer on another topic.

Two threads beside the event loop: one serves the producer's confirmations, one reads the answers from the topic's end.
Every API process reads all answers and keeps those that somebody here waits for, so any number of them can run.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from config.errors import RetryableError
from ingestion.avro import Codec, UnreadableError
from ingestion.producer import producer_config
from ingestion.registry import IncompatibleSchemaError

log = structlog.get_logger(__name__)
kafka_log = logging.getLogger("kafka")

RETRY_S = 1.0
QUEUE = {"linger.ms": 0, "socket.nagle.disable": True, "queue.buffering.max.messages": 10_000}


class AwayError(Exception):
    """The event cannot be taken now; the message says why."""


class Gateway:
    """`ask` an event into `requests` and get its answer from `answers`, matched by the answer's key."""

    def __init__(self, bootstrap: str, codec: Codec, requests: str, answers: str, *, give_up_ms: int = 10_000) -> None:
        self._codec, self._requests, self._answers = codec, requests, answers
        self._bootstrap = bootstrap
        overrides = {**QUEUE, "delivery.timeout.ms": give_up_ms}
        self._producer = Producer(producer_config(bootstrap, "millrace-api", **overrides), logger=kafka_log)
        self._waiting: defaultdict[bytes, list[asyncio.Future[dict[str, Any]]]] = defaultdict(list)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.trouble: dict[str, str] = {"registry": "not asked yet", "kafka": "not asked yet"}

    def start(self) -> None:
        """Start the threads. Call inside the event loop that asks."""
        self._loop = asyncio.get_running_loop()
        for name, work in (("confirmations", self._serve), ("answers", self._listen)):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    async def close(self) -> None:
        """Stop the threads; what was produced is still sent, for two seconds at most."""
        self._stop.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        await asyncio.to_thread(self._producer.flush, 2.0)

    def encode(self, record: dict[str, Any]) -> bytes:
        """The request's bytes. Raises `AwayError` (no schema id yet) or RefusedError."""
        trouble = self.trouble.get("registry")
        if trouble is not None:
            raise AwayError(f"schema registry: {trouble}")
        return self._codec.encode(self._requests, record)

    def expect(self, key: bytes) -> asyncio.Future[dict[str, Any]]:
        """A future for the answer to `key`. Pair with `forget`."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[key].append(future)
        return future

    def forget(self, key: bytes, future: asyncio.Future[dict[str, Any]]) -> None:
        """Nobody waits for it any more."""
        self._waiting[key].remove(future)
        if not self._waiting[key]:
            del self._waiting[key]

    def produce(self, key: str, value: bytes) -> asyncio.Future[None]:
        """Send; the future is done when the broker has it, or fails with `AwayError`. Raises `AwayError` if full."""
        loop = asyncio.get_running_loop()
        sent: asyncio.Future[None] = loop.create_future()
        sent.add_done_callback(asyncio.Future.exception)  # seen, also when nobody waits any more

        def settle(error: KafkaError | None) -> None:
            if sent.done():
                return
            if error is None:
                sent.set_result(None)
            else:
                sent.set_exception(AwayError(error.str()))

        def delivered(error: KafkaError | None, _: Message) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, error)

        try:
            self._producer.produce(self._requests, value, key, on_delivery=delivered)
        except (BufferError, KafkaException) as error:
            raise AwayError(f"the producer takes no more: {error}") from error
        return sent

    # Threads

    def _serve(self) -> None:
        while not self._stop.is_set():
            if "registry" in self.trouble:
                self._prepare()
            self._producer.poll(0.5)

    def _prepare(self) -> None:
        try:
            self._codec.encoder(self._requests)
        except (RetryableError, IncompatibleSchemaError) as error:
            self.trouble["registry"] = str(error)
            self._stop.wait(RETRY_S)
        else:
            self.trouble.pop("registry", None)

    def _listen(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": "millrace-api",  # never subscribed, never committed: the client asks for a name
                "enable.auto.commit": False,
                "socket.nagle.disable": True,
                "reconnect.backoff.max.ms": 1000,
            },
            logger=kafka_log,
        )
        try:
            while not self._stop.is_set() and not self._seek(consumer):
                self._stop.wait(RETRY_S)
            while not self._stop.is_set():
                message = consumer.poll(0.5)
                if message is not None:
                    self._take(message)
        finally:
            consumer.close()

    def _seek(self, consumer: Consumer) -> bool:
        """Read from where the topic ends now, by number: an end that is resolved later could skip an answer."""
        try:
            known = consumer.list_topics(self._answers, timeout=2).topics[self._answers]
            ends = []
            for number in known.partitions:
                _, high = consumer.get_watermark_offsets(TopicPartition(self._answers, number), timeout=2)
                ends.append(TopicPartition(self._answers, number, high))
        except KafkaException as error:
            self.trouble["kafka"] = error.args[0].str()
            return False
        if not ends:
            self.trouble["kafka"] = f"no topic {self._answers}: run `millrace topics apply`"
            return False
        consumer.assign(ends)
        self.trouble.pop("kafka", None)
        return True

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            log.warning("kafka", error=error.str())
            return
        key = message.key()
        if key not in self._waiting:
            return
        try:
            answer = self._codec.decode(self._answers, message.value())
        except (UnreadableError, RetryableError) as trouble:
            log.warning("answer not read", error=str(trouble))  # whoever waits gets its link at the deadline
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, key, answer)

    def _deliver(self, key: bytes, answer: dict[str, Any]) -> None:
        for future in self._waiting.get(key, ()):
            if not future.done():
                future.set_result(answer)

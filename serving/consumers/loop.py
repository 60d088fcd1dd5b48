"""The loop of every consumer: a topic in, values into the store, records out, offsets last.

A batch is as large as the backlog: one record when idle, everything that is there under load.
Offsets are committed once the store has the batch's values and the broker its records, so a crash
at any point repeats work and loses none; the store's writes are idempotent, so repeating changes
nothing. Commits trail the store, and a store that comes back from a restart ends the process: the
next one reads again what the store may have forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from config.errors import RetryableError
from ingestion.kafka import quarantine
from ingestion.wire.codec import Codec
from serving.consumers.connection import Connection
from serving.consumers.handling import Batch, Handler
from serving.consumers.health import Health
from serving.consumers.ledger import Entry, Ledger
from serving.consumers.metrics import Metrics
from serving.consumers.product import Product
from serving.store import Store, StoreRestartedError

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How the loop waits, in seconds.

    `trail`: offsets are committed so long after the store had the values. Redis answers up to two
    seconds before its file has them (appendfsync everysec, its sync slow); killed then, it comes
    back without, and they are read again.
    """

    idle: float = 0.1
    commit: float = 0.2
    trail: float = 3.0
    first_retry: float = 0.1
    last_retry: float = 5.0
    lag: float = 1.0
    stop: float = 10.0


class Loop:
    """Runs one product until `stop()`. One thread; `stop` may be called from a signal handler."""

    def __init__(
        self,
        product: Product,
        consumer: Consumer,
        producer: Producer,
        *,
        store: Store,
        codec: Codec,
        metrics: Metrics,
        health: Health,
        kafka: Connection | None = None,
        batch: int = 500,
        pace: Pace | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._product, self._consumer, self._producer = product, consumer, producer
        self._store, self._codec, self._metrics, self._health = store, codec, metrics, health
        self._kafka, self._handler = kafka or Connection(), Handler(product, codec)
        self._size, self._pace, self._now = batch, pace or Pace(), now
        self._ledger = Ledger()
        self._owned: set[int] = set()  # partitions
        self._pending: list[Message] = []  # read while waiting, handled next
        self._stopping = False
        self._failure: KafkaError | None = None
        self._next_commit = self._next_lag = 0.0

    def stop(self) -> None:
        """Finish the batch in hand, commit, leave the group."""
        self._stopping = True

    def run(self) -> None:
        """Run until stopped.

        Raises what no retry mends; the supervisor starts the process again.
        """
        self._consumer.subscribe(
            [self._product.topic],
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )
        trail = self._pace.trail
        try:
            while not self._stopping:
                self._turn()
            trail = 0.0
        finally:
            self._settle(trail)
            self._consumer.close()
            log.info("stopped", product=self._product.name)

    def _turn(self) -> None:
        self._health.beat()
        waiting = self._product.missing()
        self._report({}, {"product": waiting} if waiting else {})
        if waiting:
            self._wait(0.5)
            return
        messages = self._poll()
        if messages:
            self._process(messages)
        self._producer.poll(0)
        if self._failure is not None:
            raise KafkaException(self._failure)
        moment = time.monotonic()
        if moment >= self._next_commit:
            self._next_commit = moment + self._pace.commit
            self._commit(self._pace.trail, asynchronous=True)
        if moment >= self._next_lag:
            self._next_lag = moment + self._pace.lag
            self._measure_lag()

    def _report(self, missing: dict[str, str], waiting: dict[str, str] | None = None) -> None:
        trouble = self._kafka.trouble(self._consumer)
        if trouble:
            missing = {**missing, "kafka": trouble}
        health, waiting = self._health, waiting or {}
        told = {**missing, **waiting}
        if told and told != {**health.missing, **health.waiting}:
            log.warning("waiting", **told)
        elif not told and (health.missing or health.waiting):
            log.info("ready", product=self._product.name)
        health.missing, health.waiting = missing, waiting
        self._metrics.ready.set(0 if missing else 1)

    def _poll(self) -> list[Message]:
        # consume(n, timeout) would wait for n records or the whole timeout: so wait for one, then
        # take what is there.
        first = self._pending or self._read(1, self._pace.idle)
        self._pending = []
        left = self._size - len(first)
        return first + self._read(left, 0) if first and left > 0 else first

    def _read(self, count: int, timeout: float) -> list[Message]:
        return [
            message for message in self._consumer.consume(count, timeout) if self._readable(message)
        ]

    def _readable(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        if error.fatal():
            raise KafkaException(error)
        # The client mends these itself: broker away, topic not there yet.
        log.warning("kafka", error=error.str())
        return False

    # One batch

    def _process(self, messages: list[Message]) -> None:
        started = time.perf_counter()
        entry = self._ledger.open(self._positions(messages))
        batch = self._retry(lambda: self._handler.handle(messages))
        self._retry(lambda: self._store_batch(batch))
        outgoing = self._retry(lambda: self._outgoing(batch))
        for topic, key, value in outgoing:
            self._send(entry, topic, key, value)
        self._producer.poll(0)
        self._tell(batch)
        entry.done_at = time.monotonic()
        self._metrics.work.observe(time.perf_counter() - started)

    def _positions(self, messages: list[Message]) -> dict[int, int]:
        return {
            message.partition(): message.offset() + 1
            for message in messages
            if message.partition() in self._owned
        }

    def _store_batch(self, batch: Batch) -> None:
        winners = self._store.apply([made.result.write for made in batch.made])
        stored_at = self._now()
        for made, winner in zip(batch.made, winners, strict=True):
            self._metrics.latency.observe(max(0.0, stored_at - made.result.origin / 1000))
            if winner is not None:
                self._metrics.kept.inc()
                self._handler.replace(batch, made, winner.data)

    def _outgoing(self, batch: Batch) -> list[tuple[str, bytes, bytes]]:
        """All to be produced, as topic, key and value, before anything of it is.

        Sending must not be repeated.
        """
        output = self._product.output
        results = [
            (output, made.result.key.encode(), made.output)
            for made in batch.made
            if output is not None and made.output is not None
        ]
        job, now = f"consumer/{self._product.name}", int(self._now() * 1000)
        aside = [
            quarantine.put_aside(self._codec, message, error, job=job, now=now)
            for message, error in batch.poison
        ]
        return results + [
            (quarantine.TOPIC, self._product.topic.encode(), value) for value in aside
        ]

    def _tell(self, batch: Batch) -> None:
        self._metrics.batch.observe(len(batch.made) + len(batch.poison))
        self._metrics.records.inc(len(batch.made))
        for message, error in batch.poison:
            self._metrics.poison.inc()
            log.error(
                "quarantined", reason=error.reason, detail=error.detail, offset=message.offset()
            )

    def _send(self, entry: Entry, topic: str, key: bytes, value: bytes) -> None:
        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                entry.confirmed()
            else:
                self._failure = error

        entry.waiting += 1
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=delivered)
            except BufferError:  # the client's queue is full, the broker slow or away
                if self._failure is not None:
                    raise KafkaException(self._failure) from None
                if self._stopping:
                    raise RetryableError("stopped while the producer's queue was full") from None
                self._health.beat()
                self._report({})
                self._producer.poll(0.1)
            else:
                return

    # Waiting

    def _retry(self, step: Callable[[], T]) -> T:
        """Repeat a step while a part is away; the group goes on knowing us meanwhile."""
        pause = self._pace.first_retry
        while True:
            try:
                result = step()
            except RetryableError as error:
                if self._stopping:
                    raise
                self._metrics.retries.inc()
                self._report({"part": str(error)})
                self._wait(pause)
                pause = min(pause * 2, self._pace.last_retry)
            else:
                return result

    def _wait(self, seconds: float) -> None:
        """Serve the group without reading on.

        What comes through nevertheless is kept for the next batch.
        """
        self._consumer.pause(self._consumer.assignment())
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            self._health.beat()
            # May take partitions away, and what is pending of them.
            came = self._read(1, min(left, self._pace.idle))
            self._pending += came
            self._producer.poll(0)
        self._consumer.resume(self._consumer.assignment())

    # Offsets and the group

    def _commit(self, trail: float, *, asynchronous: bool) -> None:
        until = time.monotonic() - trail
        if not self._ledger.ripe(until):
            return
        try:
            self._store.check()
        except RetryableError:
            return  # what it comes back as decides
        positions = self._ledger.committable(until)
        offsets = [
            TopicPartition(self._product.topic, place, offset)
            for place, offset in positions.items()
        ]
        if offsets:
            self._consumer.commit(offsets=offsets, asynchronous=asynchronous)
            self._metrics.commits.inc()

    def _settle(self, trail: float) -> None:
        """Wait for outstanding confirmations, then commit and wait for it.

        What stays uncommitted is read again.
        """
        self._producer.flush(self._pace.stop)
        try:
            self._commit(trail, asynchronous=False)
        except (KafkaException, StoreRestartedError) as error:
            log.warning("not committed; the batch will be read again", error=str(error))

    def _assigned(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._owned |= {partition.partition for partition in partitions}
        log.info("assigned", partitions=sorted(self._owned))

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._settle(self._pace.trail)
        self._leave(partitions)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._leave(partitions)

    def _leave(self, partitions: list[TopicPartition]) -> None:
        gone = {partition.partition for partition in partitions}
        self._owned -= gone
        self._pending = [message for message in self._pending if message.partition() not in gone]
        self._ledger.forget(gone)
        for partition in gone:
            self._metrics.forget_lag(partition)
        log.info("revoked", partitions=sorted(gone))

    def _measure_lag(self) -> None:
        places = self._consumer.position(
            [TopicPartition(self._product.topic, owned) for owned in self._owned]
        )
        begun = [place for place in places if place.offset >= 0]
        for place in begun + self._not_begun([place for place in places if place.offset < 0]):
            low, high = self._consumer.get_watermark_offsets(place, timeout=1, cached=True)
            if high >= 0:
                self._metrics.set_lag(place.partition, max(0, high - max(place.offset, low, 0)))

    def _not_begun(self, places: list[TopicPartition]) -> list[TopicPartition]:
        """Where reading will begin in partitions of which nothing was read yet.

        What the group has committed.
        """
        try:
            return self._consumer.committed(places, timeout=1) if places else []
        except KafkaException:
            return []  # the broker is away: asked again in a second

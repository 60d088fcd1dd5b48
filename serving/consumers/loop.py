"""Run every consumer's loop: topics in, values into the store, records out, offsets last.

A batch is as large as the backlog: one record when idle, everything available under load. Offsets
are committed once the store has the batch's values and the broker its records, so a crash at any
point repeats work and loses none; the store's writes are idempotent, so repeating changes nothing.
Commits trail the store by the time it may forget, and a store that restarts ends the process: the
next one reads again what the store may have forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from config.errors import RetryableError
from config.retry import Backoff, retry
from ingestion.kafka import quarantine
from ingestion.wire.codec import Codec
from serving.consumers.attempts import Attempts
from serving.consumers.connection import Connection
from serving.consumers.gathering import Gathering
from serving.consumers.group import Group
from serving.consumers.handling import Batch, Handler, Outgoing
from serving.consumers.health import Health
from serving.consumers.ledger import Entry
from serving.consumers.metrics import Metrics
from serving.consumers.product import Product
from serving.consumers.rebuilding import Rebuilding
from serving.store import Store, StoreRestartedError

T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """The loop's waiting times, in seconds."""

    idle: float = 0.1
    commit: float = 0.2
    first_retry: float = 0.1
    last_retry: float = 5.0
    lag: float = 1.0
    stop: float = 10.0


class Loop:
    """Run one product until `stop()`, in one thread; `stop` may be called from a signal handler.

    `reader` makes the client that rebuilds a product's state; only such products need it.
    """

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
        reader: Callable[[], Consumer] | None = None,
        pace: Pace | None = None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._product, self._producer = product, producer
        self._store, self._codec, self._metrics, self._health = store, codec, metrics, health
        self._kafka, self._pace = kafka or Connection(), pace or Pace()
        self._now, self._clock = now, clock
        self._attempts = Attempts()
        self._handler = Handler(product, codec, self._attempts)
        self._rebuilding = Rebuilding(product, codec, reader, now)
        self._gathering = Gathering(product, codec, now, clock)
        self._group = Group(
            consumer,
            product.topics,
            metrics,
            self._attempts,
            ticking=product.tick_every is not None and product.tick_delivers,
            before_leaving=lambda: self._settle(store.trail),
            changed=self._rebuilding.restart,
        )
        self._backoff = Backoff(self._pace.first_retry, self._pace.last_retry)
        self._stopping = False
        self._failure: KafkaError | None = None
        self._next_commit = self._next_lag = 0.0
        self._next_tick = self._clock() + (product.tick_every or 0.0)

    def stop(self) -> None:
        """Finish the batch in hand, commit, leave the group."""
        self._stopping = True

    def run(self) -> None:
        """Run until stopped.

        Raise errors that no retry mends; the supervisor starts the process again.
        """
        self._group.join()
        trail = self._store.trail
        try:
            while not self._stopping:
                self._turn()
            trail = 0.0
        except Exception:
            if self._attempts.noted:
                # Earlier work must be committed, or it would be read and noted again.
                self._wait(trail)
            raise
        finally:
            self._settle(trail)
            self._rebuilding.close()
            self._group.consumer.close()
            log.info("stopped", product=self._product.name)

    def _turn(self) -> None:
        self._health.beat()
        if self._held():
            return
        idle = 0.0 if self._gathering.ready else self._pace.idle
        messages = self._group.next_batch(self._product.batch_size, idle)
        # Partitions assigned during the read may have to be rebuilt before their records are
        # handled.
        if messages and not self._rebuilding.due:
            self._process(messages)
        elif messages:
            self._group.keep(messages)
        else:
            self._gathering.rest()
        if self._gathering.ready:
            self._process_gathered()
        moment, ticks = self._clock(), not (self._gathering.active or self._gathering.ready)
        if self._product.tick_every is not None and ticks and moment >= self._next_tick:
            self._next_tick = moment + self._product.tick_every
            self._tick()
        self._producer.poll(0)
        if self._failure is not None:
            raise KafkaException(self._failure)
        if moment >= self._next_commit:
            self._next_commit = moment + self._pace.commit
            self._commit(self._store.trail, asynchronous=True)
        if moment >= self._next_lag:
            self._next_lag = moment + self._pace.lag
            self._group.measure_lag()

    def _held(self) -> bool:
        """Return whether something keeps the product from working, after waiting a little if so."""
        lacking, waiting = self._product.missing(), self._product.waiting()
        if lacking or waiting:
            self._report(
                {"product": lacking} if lacking else {}, {"product": waiting} if waiting else {}
            )
            self._wait(0.5)
            return True
        if self._rebuilding.due:
            self._rebuild()
            return True
        notice = self._product.notice()
        # Nobody may take it for rebuilt before it began; the group is joined by reading on.
        missing = {"rebuild": "waiting for partitions"} if self._rebuilding.waits else {}
        self._report(missing, {"notice": notice} if notice else {})
        return False

    def _report(self, missing: dict[str, str], waiting: dict[str, str] | None = None) -> None:
        trouble = self._kafka.trouble(self._group.consumer)
        if trouble:
            missing = {**missing, "kafka": trouble}
        waiting = waiting or {}
        if (missing, waiting) != (self._health.missing, self._health.waiting):
            if missing or waiting:
                log.warning("waiting", **{**waiting, **missing})
            else:
                log.info("ready", product=self._product.name)
        self._health.missing, self._health.waiting = missing, waiting
        self._metrics.ready.set(0 if missing else 1)
        self._metrics.waiting.set(1 if waiting else 0)

    # One batch

    def _process(self, messages: list[Message]) -> None:
        started = time.perf_counter()
        entry = self._group.open(messages)
        now = self._retry(lambda: self._gathering.sift(messages))
        self._deliver(entry, self._retry(lambda: self._handler.handle(now)))
        self._metrics.work.observe(time.perf_counter() - started)

    def _process_gathered(self) -> None:
        messages, folded = self._gathering.take(self._product.batch_size)
        # Offsets of all that was gathered are committed with the last of it.
        entry = self._group.ledger.open({}, tick=not self._gathering.holds)
        batch = self._retry(lambda: self._handler.handle(messages))
        if folded and messages:
            topic = messages[0].topic()
            batch.folded[topic] = batch.folded.get(topic, 0) + folded
        self._deliver(entry, batch)

    def _tick(self) -> None:
        entry = self._group.ledger.open({}, tick=True)
        self._deliver(entry, self._retry(lambda: self._handler.tick(int(self._now() * 1000))))

    def _deliver(self, entry: Entry, batch: Batch) -> None:
        self._retry(lambda: self._store_batch(batch))
        outgoing = self._retry(lambda: self._outgoing(batch))
        for topic, key, value in outgoing:
            self._send(entry, topic, key, value)
        self._producer.poll(0)
        self._metrics.count(batch)
        for message, error in batch.poison:
            log.error(
                "quarantined",
                reason=error.reason,
                detail=error.detail,
                topic=message.topic(),
                partition=message.partition(),
                offset=message.offset(),
            )
        entry.done_at = self._clock()

    def _store_batch(self, batch: Batch) -> None:
        winners = self._store.apply([write for made in batch.made for write in made.result.writes])
        stored_at, first = self._now(), 0
        for made in batch.made:
            if made.result.origin is not None:
                self._metrics.latency.observe(max(0.0, stored_at - made.result.origin / 1000))
            last = first + len(made.result.writes)
            own, first = winners[first:last], last
            if any(own):
                self._metrics.kept.inc(len(own) - own.count(None))
                self._handler.settle(batch, made, own)

    def _outgoing(self, batch: Batch) -> list[Outgoing]:
        """Return all records to produce before any is produced, as sending must not be repeated."""
        job, now = f"consumer/{self._product.name}", int(self._now() * 1000)
        return [one for made in batch.made for one in made.outgoing] + [
            (
                quarantine.TOPIC,
                message.topic().encode(),
                quarantine.put_aside(self._codec, message, error, job=job, now=now),
            )
            for message, error in batch.poison
        ]

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
        """Repeat a step while a dependency is away; keep serving the group."""
        return retry(step, self._backoff.pauses, self._away, RetryableError)

    def _away(self, pause: float, error: Exception) -> None:
        if self._stopping:
            raise error
        self._metrics.retries.inc()
        self._report({"part": str(error)})
        self._wait(pause)

    def _wait(self, seconds: float) -> None:
        """Serve the group without reading on."""
        self._group.hold()
        until = self._clock() + seconds
        while not self._stopping and (left := until - self._clock()) > 0:
            self._health.beat()
            self._group.serve(min(left, self._pace.idle))
            self._producer.poll(0)
        self._group.resume()

    def _rebuild(self) -> None:
        """Read a step of the topic that holds the product's state; keep serving the group."""
        self._group.hold()
        self._report({"rebuild": self._rebuilding.told})
        try:
            self._rebuilding.advance(self._group.owned, self._pace.idle)
        except RetryableError as error:
            self._report({"rebuild": str(error)})
        self._group.serve(0.001)
        if not self._rebuilding.due:
            self._group.resume()

    # Offsets

    def _commit(self, trail: float, *, asynchronous: bool) -> None:
        until = self._clock() - trail
        if not self._group.ledger.ripe(until):
            return
        try:
            self._store.check()
        except RetryableError:
            return  # the store's state after its return decides
        self._group.commit(until, asynchronous=asynchronous)

    def _settle(self, trail: float) -> None:
        """Wait for outstanding confirmations, then commit synchronously.

        Records left uncommitted are read again.
        """
        self._producer.flush(self._pace.stop)
        try:
            self._commit(trail, asynchronous=False)
            if self._attempts.noted:
                self._group.note(self._attempts.noted)
        except (KafkaException, StoreRestartedError) as error:
            log.warning("commit failed; the batch will be read again", error=str(error))

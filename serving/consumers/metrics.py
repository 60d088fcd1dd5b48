"""Define a consumer's metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from confluent_kafka import Message
from prometheus_client import Counter, Gauge, Histogram

from config import instruments
from serving.consumers.handling import Batch

MILLISECONDS = (
    *(
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        12,
        14,
        16,
        18,
        20,
        22,
        24,
        26,
        28,
        30,
        35,
        40,
        45,
        50,
        60,
        70,
        80,
        90,
        100,
    ),
    *(125, 150, 200, 250, 300, 400, 500, 750, 1000, 2000, 5000, 10_000, 30_000, 60_000),
)
SECONDS = tuple(bound / 1000 for bound in MILLISECONDS)
BATCHES = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 500)


class ByTopic:
    """A counter by topic that caches its labels: a look-up costs more than counting."""

    def __init__(self, counter: Counter, consumer: str) -> None:
        self._counter, self._consumer = counter, consumer
        self._children: dict[str, Counter] = {}

    def inc(self, topic: str, number: int) -> None:
        """Add `number` to the topic's count."""
        if topic not in self._children:
            self._children[topic] = self._counter.labels(self._consumer, topic)
        self._children[topic].inc(number)

    def add(self, messages: Sequence[Message]) -> None:
        """Count each message by its topic."""
        if len(messages) == 1:  # the usual case, and on the path of every record
            self.inc(messages[0].topic(), 1)
            return
        counts: dict[str, int] = {}
        for message in messages:
            topic = message.topic()
            counts[topic] = counts.get(topic, 0) + 1
        for topic, number in counts.items():
            self.inc(topic, number)


class Metrics:
    """One consumer's metrics, in a registry of its own so that two can live in one process."""

    def __init__(self, consumer: str) -> None:
        self.registry = instruments.registry()
        self._consumer = consumer
        self._records = self._by_topic("millrace_consumer_records_total")
        self._folded = self._by_topic("millrace_consumer_folded_total")
        self._poison = self._by_topic("millrace_consumer_quarantined_total")
        self.kept = self._counter("millrace_consumer_kept_total").labels(consumer)
        self.retries = self._counter("millrace_consumer_retries_total").labels(consumer)
        self.commits = self._counter("millrace_consumer_commits_total").labels(consumer)
        self.batch = self._histogram("millrace_consumer_batch_records", BATCHES)
        self.latency = self._histogram("millrace_event_to_store_seconds", SECONDS)
        self.work = self._histogram("millrace_consumer_batch_seconds", SECONDS)
        self._lag = self._gauge("millrace_consumer_lag_records")
        self.ready = self._gauge("millrace_consumer_ready").labels(consumer)
        self.waiting = self._gauge("millrace_consumer_waiting").labels(consumer)

    def _counter(self, name: str) -> Counter:
        return instruments.counter(name, self.registry)

    def _gauge(self, name: str) -> Gauge:
        return instruments.gauge(name, self.registry)

    def _by_topic(self, name: str) -> ByTopic:
        return ByTopic(self._counter(name), self._consumer)

    def _histogram(self, name: str, buckets: tuple[float, ...]) -> Histogram:
        return instruments.histogram(name, buckets, self.registry).labels(self._consumer)

    def count(self, batch: Batch) -> None:
        """Count the outcome of a batch, by topic."""
        self.batch.observe(len(batch.made) + len(batch.poison) + sum(batch.folded.values()))
        self._records.add([one.message for one in batch.made if one.message is not None])
        if batch.poison:
            self._poison.add([message for message, _ in batch.poison])
        for topic, number in batch.folded.items():
            self._folded.inc(topic, number)
            self._records.inc(topic, number)

    def set_lag(self, topic: str, partition: int, records: int) -> None:
        """Set the lag of one partition."""
        self._lag.labels(self._consumer, topic, str(partition)).set(records)

    def forget_lag(self, topic: str, partition: int) -> None:
        """Drop the lag of a partition that now belongs to another consumer."""
        with suppress(KeyError):
            self._lag.remove(self._consumer, topic, str(partition))

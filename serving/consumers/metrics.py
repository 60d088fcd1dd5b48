"""What a consumer tells Prometheus."""

from __future__ import annotations

from collections import Counter as Counts
from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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


class Metrics:
    """One consumer's metrics, in a registry of its own so that two can live in one process."""

    def __init__(self, consumer: str) -> None:
        self.registry = CollectorRegistry()
        self._consumer = consumer
        self._records = self._counter("records_total", "Records handled.", "topic")
        self._folded = self._counter(
            "folded_total", "Records left out for a newer one of their key in the batch.", "topic"
        )
        self._poison = self._counter("quarantined_total", "Records put in quarantine.", "topic")
        self._produced = self._counter("produced_total", "Records produced.", "topic")
        self.kept = self._counter(
            "kept_total", "Writes that lost to an earlier or newer value."
        ).labels(consumer)
        self.retries = self._counter(
            "retries_total", "Steps tried again because a part was away."
        ).labels(consumer)
        self.commits = self._counter("commits_total", "Offset commits.").labels(consumer)
        self.batch = self._histogram("millrace_consumer_batch_records", "Records a batch.", BATCHES)
        self.latency = self._histogram(
            "millrace_event_to_store_seconds",
            "From when the event entered the system to its value in the store.",
            SECONDS,
        )
        self.work = self._histogram(
            "millrace_consumer_batch_seconds", "Time a batch takes.", SECONDS
        )
        self._lag = Gauge(
            "millrace_consumer_lag_records",
            "Records in the topic that were not handled yet.",
            ["consumer", "topic", "partition"],
            registry=self.registry,
        )
        self.ready = Gauge(
            "millrace_consumer_ready",
            "1 when nothing is missing.",
            ["consumer"],
            registry=self.registry,
        ).labels(consumer)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(
            f"millrace_consumer_{name}", text, ["consumer", *labels], registry=self.registry
        )

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, ["consumer"], buckets=buckets, registry=self.registry).labels(
            self._consumer
        )

    def tell(self, batch: Batch) -> None:
        """Count what became of a batch, by topic."""
        made = Counts(one.message.topic() for one in batch.made if one.message is not None)
        poison = Counts(message.topic() for message, _ in batch.poison)
        self.batch.observe(made.total() + poison.total() + batch.folded.total())
        produced = Counts(topic for one in batch.made for topic, _, _ in one.outgoing)
        for counter, counts in (
            (self._records, made + batch.folded),
            (self._folded, batch.folded),
            (self._poison, poison),
            (self._produced, produced),
        ):
            for topic, number in counts.items():
                counter.labels(self._consumer, topic).inc(number)

    def set_lag(self, topic: str, partition: int, records: int) -> None:
        """Tell the lag of one partition."""
        self._lag.labels(self._consumer, topic, str(partition)).set(records)

    def forget_lag(self, topic: str, partition: int) -> None:
        """Drop the lag of a partition that is another consumer's now."""
        with suppress(KeyError):
            self._lag.remove(self._consumer, topic, str(partition))

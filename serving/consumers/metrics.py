"""What a consumer tells Prometheus."""

from __future__ import annotations

from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
    """One consumer's metrics, in their own registry so that two can live in one process (tests)."""

    def __init__(self, consumer: str) -> None:
        self.registry = CollectorRegistry()
        label, names = {"consumer": consumer}, ["consumer"]

        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, names, registry=self.registry).labels(**label)

        self.records = counter("millrace_consumer_records_total", "Records handled.")
        self.kept = counter(
            "millrace_consumer_kept_total", "Records whose write lost to an earlier or newer value."
        )
        self.poison = counter("millrace_consumer_quarantined_total", "Records put in quarantine.")
        self.retries = counter(
            "millrace_consumer_retries_total", "Batches tried again because a part was away."
        )
        self.commits = counter("millrace_consumer_commits_total", "Offset commits.")
        self.batch = Histogram(
            "millrace_consumer_batch_records",
            "Records a batch.",
            names,
            buckets=BATCHES,
            registry=self.registry,
        ).labels(**label)
        self.latency = Histogram(
            "millrace_event_to_store_seconds",
            "From Kafka's timestamp of the event to its value in Redis.",
            names,
            buckets=SECONDS,
            registry=self.registry,
        ).labels(**label)
        self.work = Histogram(
            "millrace_consumer_batch_seconds",
            "Time a batch takes.",
            names,
            buckets=SECONDS,
            registry=self.registry,
        ).labels(**label)
        self.lag = Gauge(
            "millrace_consumer_lag_records",
            "Records in the topic that were not handled yet.",
            [*names, "partition"],
            registry=self.registry,
        )
        ready = Gauge(
            "millrace_consumer_ready", "1 when nothing is missing.", names, registry=self.registry
        )
        self.ready = ready.labels(**label)
        self._consumer = consumer

    def set_lag(self, partition: int, records: int) -> None:
        """Lag of one partition."""
        self.lag.labels(consumer=self._consumer, partition=str(partition)).set(records)

    def forget_lag(self, partition: int) -> None:
        """The partition is another consumer's now."""
        with suppress(KeyError):
            self.lag.remove(self._consumer, str(partition))

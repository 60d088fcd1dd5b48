"""Count readings, their quality and their anomalies, by the names that dashboards know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from config import instruments
from domain.sensors.limits import Limits

ALL = "all"
"""The check of a reading that passed every one."""
BUCKETS = (-100, -50, -20, -10, 0, 5, 10, 15, 20, 25, 30, 40, 50, 80, 100)


class Meter:
    """Metrics of the readings that the jobs have judged. A restart may count some again."""

    def __init__(self) -> None:
        self._processed = instruments.counter("processed_records_total")
        self._quality = instruments.counter("dq_records_total")
        self._anomalies = instruments.counter("anomalies_total")
        self._score = instruments.gauge("last_anomaly_score")
        self._threshold = instruments.gauge("anomaly_threshold")
        self._value = instruments.histogram("event_value", BUCKETS)

    def register(self, registry: CollectorRegistry) -> None:
        """Add the metrics to those that the process serves."""
        for metric in (
            self._processed,
            self._quality,
            self._anomalies,
            self._score,
            self._threshold,
            self._value,
        ):
            registry.register(metric)

    def scored(self, record: Mapping[str, Any], limits: Limits) -> None:
        """Count a SensorScore. A type that is not declared counts as the default, as it is judged.

        So readings cannot make up series without end.
        """
        declared = limits.of(record["sensor_type"])
        kind, threshold = declared.name, declared.alert_at
        self._processed.inc()
        self._quality.labels("passed", ALL).inc()
        self._score.labels(kind).set(record["score"])
        self._threshold.labels(kind).set(threshold)
        if record["score"] >= threshold:
            self._anomalies.labels(kind).inc()
        if record["value"] is not None:
            self._value.labels(kind).observe(record["value"])

    def rejected(self, record: Mapping[str, Any]) -> None:
        """Count a RejectedReading by each check that it failed."""
        self._processed.inc()
        for check in {reason.partition(":")[0] for reason in record["reasons"]}:
            self._quality.labels("rejected", check).inc()

"""Count the windows of the stream by what was found."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from config import instruments
from domain.alerts.episodes import Criticality
from domain.anomalies import adaptive
from serving.anomalies.following import Followed

BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


class Meter:
    """Metrics of the windows. A restart may count some again."""

    def __init__(self) -> None:
        self._windows = instruments.counter("millrace_anomalies_windows_total")
        self._scores = instruments.histogram("millrace_anomalies_score", BUCKETS)
        self._threshold = instruments.gauge("millrace_anomalies_threshold")
        self._sensors = instruments.gauge("millrace_anomalies_sensors")

    def register(self, registry: CollectorRegistry) -> None:
        """Add the metrics to those that the process serves."""
        for metric in (self._windows, self._scores, self._threshold, self._sensors):
            registry.register(metric)

    def judged(self, criticality: Criticality, found: Followed) -> None:
        """Count a window."""
        usual = "anomaly" if found.is_anomaly else "usual"
        self._windows.labels(criticality, "again" if found.again else usual).inc()
        self._scores.labels(criticality).observe(found.score)
        self._threshold.labels(criticality).set(adaptive.score(found.threshold))

    def remembered(self, sensors: int) -> None:
        """Tell how many sensors' thresholds are remembered."""
        self._sensors.set(sensors)

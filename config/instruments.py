"""Make Prometheus metrics as `metrics.yaml` declares them.

Every function raises KeyError for a name that is not declared, and TypeError for one that is
declared with another type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family

from config.metrics import Metric, Type, metrics


def registry() -> CollectorRegistry:
    """Return a registry with the CPU time, memory and open files of this process."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    return made


def counter(name: str, registry: CollectorRegistry | None = None) -> Counter:
    """Return a counter; `name` ends with `_total`."""
    one = _declared(name, "counter")
    return Counter(one.name, one.meaning, one.labels, registry=registry)


def gauge(name: str, registry: CollectorRegistry | None = None) -> Gauge:
    """Return a gauge."""
    one = _declared(name, "gauge")
    return Gauge(one.name, one.meaning, one.labels, registry=registry)


def histogram(
    name: str, buckets: Sequence[float], registry: CollectorRegistry | None = None
) -> Histogram:
    """Return a histogram with these upper bounds, in the metric's unit."""
    one = _declared(name, "histogram")
    return Histogram(one.name, one.meaning, one.labels, buckets=buckets, registry=registry)


def family(name: str, values: float | Mapping[tuple[str, ...], float]) -> Family:
    """Return a metric that is measured elsewhere: one value, or one for each tuple of labels."""
    one = metrics()[name]
    kind = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}[one.type]
    made: CounterMetricFamily | GaugeMetricFamily = kind(one.name, one.meaning, labels=one.labels)
    for labels, value in values.items() if isinstance(values, Mapping) else (((), values),):
        made.add_metric(labels, value)
    return made


def _declared(name: str, kind: Type) -> Metric:
    one = metrics()[name]
    if one.type != kind:
        raise TypeError(f"{name} is declared as a {one.type}, not as a {kind}")
    return one

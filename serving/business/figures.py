"""Tell Prometheus of the newest closed window of each length, and of the minute as it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from config import instruments
from domain.shop.windows import MINUTE_MS, NAMES
from serving.business import keys
from serving.business.memory import Closed

_OF: Mapping[str, Callable[[Mapping[str, Any]], float | None]] = {
    "millrace_business_orders": lambda one: one["orders"],
    "millrace_business_gmv": lambda one: one["gmv_minor"] / 100,
    "millrace_business_average_order_value": lambda one: (
        one["gmv_minor"] / 100 / one["orders"] if one["orders"] else None
    ),
    "millrace_business_active_visitors": lambda one: one["active_visitors"],
    "millrace_business_path_conversion": lambda one: (
        one["purchased"] / one["viewed"] if one["viewed"] else None
    ),
    "millrace_business_fraud_rate": lambda one: (
        one["payments_blocked"] / one["payments"] if one["payments"] else None
    ),
    "millrace_business_blocked_value": lambda one: one["blocked_minor"] / 100,
}


NOW = "now"
"""The window's name of the newest minute as it stands: a closed one is two minutes old."""


class Figures:
    """Gauges by length of window; a figure that does not exist is NaN."""

    def __init__(self) -> None:
        self._gauges = {name: instruments.gauge(name) for name in _OF}
        self._start = instruments.gauge("millrace_business_window_start_seconds")
        self._newest: dict[int, int] = {}
        self._now = (-1, -1)

    def register(self, registry: CollectorRegistry) -> None:
        """Add the gauges to the metrics."""
        for gauge in (*self._gauges.values(), self._start):
            registry.register(gauge)

    def take(self, closed: Sequence[Closed]) -> None:
        """Take up windows that closed, in any order."""
        in_order = sorted(closed, key=lambda one: one.key.start)
        for one in {one.key.length: one for one in in_order}.values():
            length, start = one.key
            if start < self._newest.get(length, start):
                continue
            self._newest[length] = start
            self._tell(NAMES[length], start, one.record)

    def stand(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Take up what is told of windows: the newest minute of them, if it is not fuller here."""
        minutes = [one for one in records if one["window_ms"] == MINUTE_MS]
        newest = max(minutes, key=_version, default=None)
        if newest is not None and _version(newest) > self._now:
            self._now = _version(newest)
            self._tell(NOW, newest["window_start"], newest)

    def _tell(self, name: str, start: int, record: Mapping[str, Any]) -> None:
        self._start.labels(name).set(start / 1000)
        for figure, of in _OF.items():
            value = of(record)
            self._gauges[figure].labels(name).set(float("nan") if value is None else value)


def _version(record: Mapping[str, Any]) -> tuple[int, int]:
    return record["window_start"], keys.version(record)

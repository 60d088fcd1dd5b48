"""Tell Prometheus of the newest closed window of each length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from domain.shop.windows import NAMES
from serving.business.memory import Closed

_OF: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], float | None]]] = {
    "orders": ("Orders", lambda one: one["orders"]),
    "gmv": ("Gross merchandise value, in whole units", lambda one: one["gmv_minor"] / 100),
    "average_order_value": (
        "GMV by orders",
        lambda one: one["gmv_minor"] / 100 / one["orders"] if one["orders"] else None,
    ),
    "active_visitors": ("Visitors with any event", lambda one: one["active_visitors"]),
    "path_conversion": (
        "Visitors who bought after a cart after a view, by those who viewed",
        lambda one: one["purchased"] / one["viewed"] if one["viewed"] else None,
    ),
    "fraud_rate": (
        "Payments blocked by payments scored",
        lambda one: one["payments_blocked"] / one["payments"] if one["payments"] else None,
    ),
    "blocked_value": ("Amount blocked, in whole units", lambda one: one["blocked_minor"] / 100),
}


class Figures:
    """Gauges by length of window; a figure that does not exist is NaN."""

    def __init__(self) -> None:
        self._gauges = {
            name: Gauge(
                f"millrace_business_{name}",
                f"{what}, of the newest closed window.",
                ["window"],
                registry=None,
            )
            for name, (what, _) in _OF.items()
        }
        self._start = Gauge(
            "millrace_business_window_start_seconds",
            "Start of the newest closed window.",
            ["window"],
            registry=None,
        )
        self._newest: dict[int, int] = {}

    def register(self, registry: CollectorRegistry) -> None:
        """Add the gauges to the metrics."""
        for gauge in (*self._gauges.values(), self._start):
            registry.register(gauge)

    def take(self, closed: Sequence[Closed]) -> None:
        """Take up windows that closed."""
        # The closed ones come in order: the last of a length is its newest.
        for one in {one.key.length: one for one in closed}.values():
            length, start = one.key
            if start < self._newest.get(length, start):
                continue
            self._newest[length] = start
            name = NAMES[length]
            self._start.labels(name).set(start / 1000)
            for figure, (_, of) in _OF.items():
                value = of(one.record)
                self._gauges[figure].labels(name).set(float("nan") if value is None else value)

"""Declare the dashboards, a module each. Their JSON for Grafana is generated from them."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module

from monitoring.dashboards.panel import Dashboard

NAMES = (
    "platform",
    "kafka",
    "flink",
    "api",
    "fraud",
    "shop",
    "sensors",
    "anomalies",
    "lake",
    "infrastructure",
)


def dashboards(groups: Collection[str] | None = None) -> tuple[Dashboard, ...]:
    """Return the dashboards of these groups of products, or all."""
    every: list[Dashboard] = [import_module(f"{__name__}.{name}").DASHBOARD for name in NAMES]
    return tuple(one for one in every if groups is None or one.needs in groups)

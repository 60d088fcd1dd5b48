"""Declare the alert rules, a module for each part of the platform, and write them out."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any

from monitoring.pace import Pace
from monitoring.rules.rule import Alert, Record, document

PARTS = ("platform", "kafka", "flink", "consumers", "api", "fraud", "sensors", "lake")


def alerts(groups: Collection[str] | None = None) -> tuple[Alert, ...]:
    """Return the alerts of these groups of products, or all."""
    return tuple(one for one in _of("ALERTS") if groups is None or one.needs in groups)


def records(groups: Collection[str] | None = None) -> tuple[Record, ...]:
    """Return the recording rules of these groups of products, or all."""
    return tuple(one for one in _of("RECORDS") if groups is None or one.needs in groups)


def rules(groups: Collection[str] | None, pace: Pace, runbooks: str) -> dict[str, Any]:
    """Return Prometheus' file of rules as data."""
    return document(records(groups), alerts(groups), pace, runbooks)


def _of(name: str) -> list[Any]:
    parts = (import_module(f"{__name__}.{part}") for part in PARTS)
    return [one for part in parts for one in getattr(part, name, ())]

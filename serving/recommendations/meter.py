"""Meter the lists: the share of clicks that were in the list shown before, hour by hour.

An hour is one of event time, counted by each life of the consumer for itself; a reader adds the
lives up. A crash counts the clicks since its last commit again.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from config import instruments
from serving.recommendations import keys
from serving.recommendations.visitors import Hour
from serving.store import Write

HOURS_HELD = 48
"""Hours remembered between two writes, the newest: a replay goes through many."""


class Meter:
    """Counts of one life, which began at `life` (ms)."""

    def __init__(self, life: int) -> None:
        self._life = life
        self._hours: dict[int, Hour] = {}
        self._changed: set[int] = set()
        self._clicks: Counter | None = None
        self._hits: Counter | None = None

    def register(self, registry: CollectorRegistry) -> None:
        """Add the counts to the metrics."""
        self._clicks = instruments.counter("millrace_recommendations_clicks_total", registry)
        self._hits = instruments.counter("millrace_recommendations_hits_total", registry)

    def count(self, event_time: int, *, hit: bool) -> None:
        """Count a click of a visitor who had a list."""
        start = event_time - event_time % keys.HOUR_MS
        hour = self._hours.setdefault(start, Hour())
        hour.clicks += 1
        hour.hits += hit
        self._changed.add(start)
        if self._clicks is not None and self._hits is not None:
            self._clicks.inc()
            self._hits.inc(hit)

    def due(self) -> list[Write]:
        """Return the writes of the hours that have changed since it was asked last."""
        writes = [
            keys.hour_of_hits(start, self._life, self._hours[start].clicks, self._hours[start].hits)
            for start in sorted(self._changed)
        ]
        self._changed = set()
        for start in sorted(self._hours)[:-HOURS_HELD]:
            del self._hours[start]
        return writes

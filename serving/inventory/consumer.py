"""Keep each item's stock as it stands, and tell of what runs low: Redis and alerts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prometheus_client import CollectorRegistry

from config import instruments
from domain.inventory.watch import watch
from serving.consumers.product import Incoming, Output, Product, Rebuild, Result
from serving.consumers.run import run
from serving.inventory import keys
from serving.inventory.memory import Memory
from serving.store import Write

LEVELS, WATCH, ALERTS, FORECASTS = "stock-levels", "stock-watch", "alerts", "demand-forecasts"


class Inventory(Product):
    """The stock of each item, and its alerts: once as a limit is crossed, once well behind it.

    Every entry is judged, in its order; of an item's in a batch the last one is stored.
    """

    name = "stock"
    topics = (LEVELS, FORECASTS)
    rebuild = Rebuild(WATCH, everything=True)

    def __init__(self) -> None:
        self._memory = Memory()
        self._told = instruments.counter("millrace_inventory_alerts_total")
        self._entries = instruments.counter("millrace_inventory_entries_total")

    def register(self, registry: CollectorRegistry) -> None:
        """Add the counts of alerts and entries to the metrics."""
        registry.register(self._told)
        registry.register(self._entries)

    def clear_state(self) -> None:
        """Forget which alerts are open."""
        self._memory.clear()

    def restore_state(self, row: Incoming) -> None:
        """Take up which alerts of an item are open."""
        self._memory.restore(row.record)

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return the writes and alerts of each record."""
        last = {
            row.record["item_id"]: place for place, row in enumerate(batch) if row.topic == LEVELS
        }
        results = []
        for place, row in enumerate(batch):
            if row.topic == FORECASTS:
                results.append(Result((keys.predicted(row.record),)))
                continue
            level = row.record
            writes, outputs = self._judged(level)
            if last[level["item_id"]] == place:
                opened = self._memory.at(level["item_id"], level["sequence"])
                writes = (keys.stock(level, opened), *writes)
            results.append(Result(writes, outputs, origin=level["produced_at"]))
        return results

    def _judged(self, level: dict[str, Any]) -> tuple[tuple[Write, ...], tuple[Output, ...]]:
        """Return what an entry tells, and what it leaves apart from the level."""
        item, sequence = level["item_id"], level["sequence"]
        outcome = "late" if level["late"] else "no_book" if level["level"] is None else "booked"
        self._entries.labels(outcome).inc()
        writes = (*keys.sales(level), *keys.counted(level))
        known = self._memory.before(item, sequence)
        if known is None:
            return writes, ()
        previous, before = known
        after, alerts = watch(level, before)
        outputs = [Output(ALERTS, one.entity, asdict(one)) for one in alerts]
        for one in alerts:
            self._told.labels(one.kind, one.state).inc()
        if after != before:
            remembered = self._memory.change(item, sequence, previous, after)
            outputs.append(Output(WATCH, item, remembered))
            writes = (*writes, keys.changed(level))
        return writes, tuple(outputs)


if __name__ == "__main__":
    run(Inventory.name, lambda _: Inventory())

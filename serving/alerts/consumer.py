"""Keep the alerts of all products, and what people did about them: Redis out."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from config import instruments
from serving.alerts import keys
from serving.consumers.product import Incoming, Product, Result
from serving.consumers.run import run
from serving.store import Write

ALERTS, ACTS = "alerts", "alert-acts"


class Alerts(Product):
    """Alerts as they stand; each state of one is a record, and the last one counts."""

    name = "alerts"
    topics = (ALERTS, ACTS)

    def __init__(self) -> None:
        self._told = instruments.counter("millrace_alerts_told_total")

    def register(self, registry: CollectorRegistry) -> None:
        """Add the count of alerts to the metrics."""
        registry.register(self._told)

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one write per record."""
        for row in batch:
            if row.topic == ACTS:
                continue
            labels = (row.record["product"], row.record["severity"], row.record["state"])
            self._told.labels(*labels).inc()
        return [Result((_write(row),), origin=row.timestamp) for row in batch]


def _write(row: Incoming) -> Write:
    if row.topic == ACTS:
        return keys.done(row.record, row.offset)
    return keys.kept(row.record)


if __name__ == "__main__":
    run(Alerts.name, lambda _: Alerts())

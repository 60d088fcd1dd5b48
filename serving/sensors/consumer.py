"""Keep sensors as they stand: readings scored, rejected, in context, and windows in; Redis out."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence

from prometheus_client import CollectorRegistry

from config.settings import Settings
from domain.sensors.limits import Limits
from ingestion.sensors.limits_file import LimitsFile
from serving.consumers.product import Incoming, Product, Result
from serving.consumers.run import run
from serving.sensors import keys
from serving.sensors.meter import Meter

SCORES, REJECTED, WINDOWS = "sensor-scores", "rejected-readings", "sensor-windows"
CONTEXT = "sensor-context"
WRITES = {
    SCORES: keys.scored,
    REJECTED: keys.refused,
    WINDOWS: keys.window,
    CONTEXT: keys.context_of,
}


class Sensors(Product):
    """The newest reading of each sensor, the last rejected, the newest in context, and windows.

    `limits` are those by which the readings were judged.
    """

    name = "sensors"
    topics = (SCORES, REJECTED, WINDOWS, CONTEXT)

    def __init__(self, limits: Callable[[], Limits]) -> None:
        self._limits, self._meter = limits, Meter()

    def register(self, registry: CollectorRegistry) -> None:
        """Add the counts of readings to the metrics."""
        self._meter.register(registry)

    def met(self, rows: Sequence[Incoming]) -> None:
        """Count readings, those too of which only the newest is kept."""
        limits = self._limits()
        for row in rows:
            if row.topic == SCORES:
                self._meter.scored(row.record, limits)
            elif row.topic == REJECTED:
                self._meter.rejected(row.record)

    def fold(self, row: Incoming) -> Hashable:
        """Of a sensor's readings only the newest counts; a late one is no newer than another."""
        if row.topic in (WINDOWS, CONTEXT):
            # Of two versions of a window the later one may have less in it, after a kill; and
            # readings that wait for their context leave in the order in which they came.
            return None
        return None if row.record.get("late") else (row.topic, row.record["sensor_id"])

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one write per record."""
        return [Result(WRITES[row.topic](row.record), origin=row.timestamp) for row in batch]


def make(configured: Settings) -> Sensors:
    """Return the product with the deployment's limits, read again when they change."""
    file = LimitsFile(configured.sensors_file, time.monotonic)
    return Sensors(lambda: file.limits)


if __name__ == "__main__":
    run(Sensors.name, make)

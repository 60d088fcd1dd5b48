"""Keep sensors as they stand: readings scored, rejected, in context, and windows in; Redis out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from serving.consumers.product import Incoming, Product, Result
from serving.consumers.run import run
from serving.sensors import keys

SCORES, REJECTED, WINDOWS = "sensor-scores", "rejected-readings", "sensor-windows"
CONTEXT = "sensor-context"
WRITES = {
    SCORES: keys.scored,
    REJECTED: keys.refused,
    WINDOWS: keys.window,
    CONTEXT: keys.context_of,
}


class Sensors(Product):
    """The newest reading of each sensor, the last rejected, the newest in context, and windows."""

    name = "sensors"
    topics = (SCORES, REJECTED, WINDOWS, CONTEXT)

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


if __name__ == "__main__":
    run(Sensors.name, lambda _: Sensors())

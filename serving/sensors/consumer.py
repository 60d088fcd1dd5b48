"""Keep sensors as they stand: scored and rejected readings, and windows in; Redis out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from serving.consumers.product import Incoming, Product, Result
from serving.consumers.run import run
from serving.sensors import keys

SCORES, REJECTED, WINDOWS = "sensor-scores", "rejected-readings", "sensor-windows"
WRITES = {SCORES: keys.scored, REJECTED: keys.refused, WINDOWS: keys.window}


class Sensors(Product):
    """The newest reading of each sensor, the last that was rejected, and the newest windows."""

    name = "sensors"
    topics = (SCORES, REJECTED, WINDOWS)

    def fold(self, row: Incoming) -> Hashable:
        """Of a sensor's readings only the newest counts; a late one is no newer than another."""
        if row.topic == WINDOWS:
            return None  # of two versions the later one may have less in it, after a kill
        return None if row.record.get("late") else (row.topic, row.record["sensor_id"])

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one write per record."""
        return [Result(WRITES[row.topic](row.record), origin=row.timestamp) for row in batch]


if __name__ == "__main__":
    run(Sensors.name, lambda _: Sensors())

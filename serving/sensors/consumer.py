"""Keep sensors as they stand: scored and rejected readings in, Redis out."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from serving.consumers.product import Incoming, Product, Result
from serving.consumers.run import run
from serving.sensors import keys

SCORES, REJECTED = "sensor-scores", "rejected-readings"


class Sensors(Product):
    """The newest reading of each sensor, and the last one that was rejected."""

    name = "sensors"
    topics = (SCORES, REJECTED)

    def fold(self, row: Incoming) -> Hashable:
        """Of a sensor's readings only the newest counts; a late one is no newer than another."""
        return None if row.record.get("late") else (row.topic, row.record["sensor_id"])

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return one write per record."""
        return [
            Result(
                keys.scored(row.record) if row.topic == SCORES else keys.refused(row.record),
                origin=row.timestamp,
            )
            for row in batch
        ]


if __name__ == "__main__":
    run(Sensors.name, lambda _: Sensors())

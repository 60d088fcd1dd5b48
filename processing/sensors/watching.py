"""Watch sensors in a keyed stream: `domain/sensors/watch.py` on Flink's state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyflink.common import Time, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext
from pyflink.datastream.state import StateTtlConfig, ValueStateDescriptor

from domain.events import SensorReading
from domain.sensors.watch import Place, Sensor, watch
from ingestion.sensors.limits_file import LimitsFile
from processing.streams import Rows, row_type
from processing.tables import columns

if TYPE_CHECKING:
    from pyflink.common import Row

FORGET_DAYS = 30
"""A sensor that has said nothing for so long is forgotten."""

REJECTED = OutputTag("rejected", row_type("RejectedReading"))
ALERTS = OutputTag("alerts", row_type("Alert"))


class Watching(KeyedProcessFunction):  # type: ignore[misc]  # pyflink has no types
    """Score each good reading; tell rejected ones and alerts aside.

    Rows are a SensorReading's fields and its place, `processing.streams.incoming`. `file` holds the
    limits.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def open(self, context: RuntimeContext) -> None:
        """Prepare the state and the counters, and read the limits."""
        kept = ValueStateDescriptor("sensor", Types.PICKLED_BYTE_ARRAY())
        ttl = StateTtlConfig.new_builder(Time.days(FORGET_DAYS))
        kept.enable_time_to_live(
            ttl.set_update_type(StateTtlConfig.UpdateType.OnCreateAndWrite).build()
        )
        self._kept = context.get_state(kept)
        self._limits = LimitsFile(self._file, time.monotonic)
        self._fields = tuple(columns("SensorReading"))
        self._scored, self._rejected, self._alert = map(
            Rows, ("SensorScore", "RejectedReading", "Alert")
        )
        self._metrics = context.get_metrics_group().add_group("sensors")
        self._counters: dict[str, Any] = {}

    def process_element(self, row: Row, context: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Yield the score of a good reading, or the rejected one, and the alert if there is one."""
        said, place = row[: len(self._fields)], row[len(self._fields) :]
        reading = SensorReading(**dict(zip(self._fields, said, strict=True)))
        sensor = Sensor.load(self._kept.value())
        outcome = watch(reading, Place(*place), self._limits.limits, sensor)
        self._kept.update(sensor.dump())
        if outcome.rejected is not None:
            for reason in outcome.rejected.reasons:
                self._count("rejected", reason)
            yield REJECTED, self._rejected(outcome.rejected)
        if outcome.scored is not None:
            yield self._scored(outcome.scored)
        if outcome.alert is not None:
            self._count("alerts", outcome.alert.state)
            yield ALERTS, self._alert(outcome.alert)

    def _count(self, what: str, which: str) -> None:
        name = f"{what}_{which.replace(':', '_')}"
        if name not in self._counters:
            self._counters[name] = self._metrics.counter(name)
        self._counters[name].inc()

"""Watch sensors in a keyed stream: `domain/sensors/watch.py` on Flink's state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyflink.common import Time, Types
from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext, TimeDomain
from pyflink.datastream.state import StateTtlConfig, ValueStateDescriptor

from config.clock import now_ms
from domain.events import SensorReading
from domain.sensors.silence import due, idle, silent
from domain.sensors.watch import Place, Sensor, watch
from ingestion.sensors.limits_file import LimitsFile
from processing.sensors.shapes import Shapes
from processing.streams import Rows, row_type
from processing.tables import columns

if TYPE_CHECKING:
    from pyflink.common import Row

FORGET_DAYS = 30
"""A sensor that has said nothing for so long is forgotten."""

LOOK_MS = 1_000
"""A timer by the wall's time is set no sooner than this after one."""

REJECTED = OutputTag("rejected", row_type("RejectedReading"))
ALERTS = OutputTag("alerts", row_type("Alert"))
JOINT = OutputTag("joint", row_type("SensorScore"))
"""Good readings of assets whose channels are watched together."""


class Watching(KeyedProcessFunction):  # type: ignore[misc]  # pyflink has no types
    """Score each good reading; tell rejected ones and alerts aside.

    Rows are a SensorReading's fields and its place, `processing.streams.incoming`. `file` holds the
    limits. Each sensor has at most one timer by the log's time, its watermark, and one by the
    wall's: both look whether it has fallen silent. The wall's counts only when nothing comes at all
    for as long as the sensor may be silent, for then no watermark moves; while anything comes, a
    backlog too, the log says how late it is.
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
        self._came = now_ms()

    def process_element(self, row: Row, context: KeyedProcessFunction.Context) -> Iterator[Any]:
        """Yield the score of a good reading, or the rejected one, and the alert if there is one."""
        said, place = row[: len(self._fields)], row[len(self._fields) :]
        reading = SensorReading(**dict(zip(self._fields, said, strict=True)))
        sensor = Sensor.load(self._kept.value(), Shapes)
        self._came = now_ms()
        outcome = watch(reading, Place(*place), self._limits.limits, sensor)
        self._arm(sensor, context)
        self._kept.update(sensor.dump())
        if outcome.rejected is not None:
            for reason in outcome.rejected.reasons:
                self._count("rejected", reason)
            yield REJECTED, self._rejected(outcome.rejected)
        if outcome.scored is not None:
            scored = self._scored(outcome.scored)
            yield scored
            if outcome.scored.asset_id in self._limits.limits.joints and not outcome.scored.late:
                yield JOINT, scored
        for alert in (*outcome.silence, outcome.alert):
            if alert is not None:
                self._count("alerts", alert.state)
                yield ALERTS, self._alert(alert)

    def on_timer(
        self, timestamp: int, context: KeyedProcessFunction.OnTimerContext
    ) -> Iterator[Any]:
        """Yield the alert of a sensor that is silent."""
        kept = self._kept.value()
        if kept is None:
            return
        sensor, now = Sensor.load(kept, Shapes), timestamp
        limits, least = self._limits.limits, 0
        if context.time_domain() == TimeDomain.PROCESSING_TIME:
            sensor.heard.wall_timer = None
            wall, wait = now_ms(), idle(sensor.heard, limits)
            now = wall if wall - self._came >= wait else -1
            least = max(self._came + wait, wall + LOOK_MS)
        else:
            sensor.heard.log_timer = None
        alert = silent(context.get_current_key(), now, limits, sensor.heard)
        self._arm(sensor, context, least)
        self._kept.update(sensor.dump())
        if alert is not None:
            self._count("alerts", alert.state)
            yield ALERTS, self._alert(alert)

    def _arm(self, sensor: Sensor, context: KeyedProcessFunction.Context, least: int = 0) -> None:
        """Have somebody look when the sensor will be silent, unless somebody looks earlier.

        One timer is enough: each reading would else set one. By the wall not before `least`.
        """
        heard, when = sensor.heard, due(sensor.heard, self._limits.limits)
        if when is None:
            return
        service = context.timer_service()
        if heard.log_timer is None or heard.log_timer > when:
            heard.log_timer = when
            service.register_event_time_timer(when)
        if heard.wall_timer is None:
            heard.wall_timer = max(when, least)
            service.register_processing_time_timer(heard.wall_timer)

    def _count(self, what: str, which: str) -> None:
        name = f"{what}_{which.replace(':', '_')}"
        if name not in self._counters:
            self._counters[name] = self._metrics.counter(name)
        self._counters[name].inc()

"""Show the sensors with their state and score on the live page."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from domain.sensors.limits import Limits
from ingestion.sensors.limits_file import LimitsFile
from serving.api.context import Context
from serving.page.panel import Document, Panel, way
from serving.sensors import keys, routes

SHOWN = 24
LOOKED_AT = 100
"""Sensors heard of last: those that are shown are chosen among them."""
_ORDER = {"alert": 0, "rejected": 1, "ok": 2}
_MEASURED = ("value", "temperature", "humidity", "pressure")

routers = ()


class Grid:
    """The collecting of sensors. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._file: LimitsFile | None = None

    async def collect(self, context: Context) -> Document:
        """Return sensors, those in alert first, and the point of their scores."""
        if self._file is None:
            self._file = LimitsFile(context.settings.sensors_file, time.monotonic)
        members = await context.values.newest(keys.SENSORS, LOOKED_AT)
        known = await routes.standing(context.values, [one.decode() for one in members])
        known.sort(key=lambda one: (_ORDER[one["state"]], one["sensor_id"]))
        limits = self._file.limits
        shown = [_tile(one, limits) for one in known[:SHOWN]]
        scores = {one["sensor_id"]: one["score"] for one in shown if one["score"] is not None}
        return {
            "sensors": shown,
            "states": {state: sum(one["state"] == state for one in known) for state in _ORDER},
            "point": {"t": round(self._clock(), 1), "scores": scores} if scores else None,
        }


def _tile(sensor: dict[str, Any], limits: Limits) -> dict[str, Any]:
    latest, rejected = sensor["latest"], sensor["rejected"]
    reading = latest or rejected
    return {
        "sensor_id": sensor["sensor_id"],
        "state": sensor["state"],
        "location": reading["location"],
        "measured": {
            name: reading[name] for name in _MEASURED if latest and latest[name] is not None
        },
        "score": latest and round(latest["score"], 3),
        "threshold": latest and limits.of(latest["sensor_type"]).alert_at,
        "why": _why(sensor),
    }


def _why(sensor: dict[str, Any]) -> list[str]:
    if sensor["state"] == "rejected":
        return list(sensor["rejected"]["reasons"])
    return list(sensor["latest"]["findings"])


panels = (
    Panel(
        "sensors",
        "Sensors",
        Path(__file__).with_name("page.js"),
        Grid().collect,
        series=frozenset({"point"}),
        ways=(
            way(
                "Readings to alerts",
                "topic:sensor-readings job:sensor_anomalies topic:sensor-scores consumer:sensors "
                "store:Redis",
            ),
        ),
        place=60,
        wide=True,
    ),
)

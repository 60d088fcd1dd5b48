"""Readings and limits for tests, told in few words."""

from __future__ import annotations

from typing import Any

from domain.events import SensorReading
from domain.sensors.limits import Limits, parse

START = 1_700_000_000_000


def reading(second: float, **said: Any) -> SensorReading:
    """Return a reading of sensor `s`, so many seconds after START."""
    return SensorReading(
        **{"sensor_id": "s", "timestamp": START + round(second * 1000), "value": 20.0, **said}
    )


def limits(**default: Any) -> Limits:
    """Return the limits whose default type says this."""
    return parse({"types": {"default": default}})

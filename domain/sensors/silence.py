"""Tell of sensors that have fallen silent, and that they speak again.

A sensor is silent when nothing of it has come for its type's `silent_s`, good or not, by the log's
own time (Kafka's). Who looks, and when, changes nothing of the alert: it opens at the moment when
the sensor became silent, and a reading that ends a silence nobody has told of tells of both ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from domain.alerts.episodes import severity
from domain.events import Alert, AlertState, SensorReading
from domain.sensors.limits import Limits, SensorType
from domain.times import iso

PRODUCT, KIND, SCORE = "sensors", "SILENT", 0.6
IDLE_MS = 60_000
"""When nothing of any sensor has come for so long, and for as long as a sensor may be silent, wall
time says how late it is."""


@dataclass(slots=True)
class Heard:
    """When a sensor was last heard of (ms), what it said of itself, whether its silence is told.

    `log_timer` and `wall_timer` are when somebody will look, by the log's time and by the wall's.
    `opened_at` is when the silence told of began, by the limits that held then.
    """

    at: int | None = None
    told: bool = False
    sensor_type: str = ""
    asset_id: str | None = None
    location: str | None = None
    log_timer: int | None = None
    wall_timer: int | None = None
    opened_at: int | None = None


def due(heard: Heard, limits: Limits) -> int | None:
    """Return when the sensor will have been silent for too long; None if that is never told."""
    wait = _wait(limits.of(heard.sensor_type))
    return None if heard.at is None or heard.told or not wait else heard.at + wait


def idle(heard: Heard, limits: Limits) -> int:
    """Return for how long nothing of any sensor must have come for the wall's time to count (ms).

    What the sensor said may still be on its way to the log for as long as it may be silent.
    """
    return max(IDLE_MS, _wait(limits.of(heard.sensor_type)))


def hear(reading: SensorReading, arrived: int, limits: Limits, heard: Heard) -> tuple[Alert, ...]:
    """Take up that the sensor has spoken; return what is to be told of a silence that ends."""
    told: list[Alert] = []
    if opened := silent(reading.sensor_id, arrived, limits, heard):
        told.append(opened)
    if heard.told and heard.at is not None:
        waited = heard.at + _wait(limits.of(heard.sensor_type))
        began = waited if heard.opened_at is None else heard.opened_at
        until = max(began, arrived)
        told.append(_alert(reading.sensor_id, limits, heard, "cleared", opened=began, when=until))
    heard.at = arrived if heard.at is None else max(heard.at, arrived)
    heard.told, heard.opened_at = False, None
    heard.sensor_type, heard.asset_id = reading.sensor_type, reading.asset_id
    heard.location = reading.location
    return tuple(told)


def silent(sensor_id: str, now: int, limits: Limits, heard: Heard) -> Alert | None:
    """Return the alert of a sensor that is silent at `now` (ms, the log's) and was not told of."""
    when = due(heard, limits)
    if when is None or now < when:
        return None
    heard.told, heard.opened_at = True, when
    return _alert(sensor_id, limits, heard, "open", opened=when, when=when)


def _wait(kind: SensorType) -> int:
    return round(kind.silent_s * 1000)


def _alert(
    sensor_id: str, limits: Limits, heard: Heard, state: AlertState, *, opened: int, when: int
) -> Alert:
    kind, last = limits.of(heard.sensor_type), heard.at or 0
    where = f" in {heard.location}" if heard.location else ""
    told = "speaks again" if state == "cleared" else f"has said nothing since {iso(last)}"
    facts = {"last_heard": iso(last)}
    if heard.asset_id is not None:
        facts["asset_id"] = heard.asset_id
    return Alert(
        alert_id=f"{sensor_id}/silent/{last}",
        entity=sensor_id,
        event_time=when,
        kind=KIND,
        severity=severity(SCORE, limits.criticality(kind, heard.asset_id)),
        message=f"{sensor_id}{where} {told}",
        details=facts,
        state=state,
        opened_at=opened,
        product=PRODUCT,
        score=SCORE,
        location=heard.location,
    )

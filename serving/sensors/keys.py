"""Define the keys of sensors in the store, and the content of their documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.times import document_of
from serving.store import Index, Rule, Write

SENSORS = "sensors:recent"
"""The index of the sensors kept, by when anything of them was last received."""
KEEP = 200_000
TTL_MS = 30 * 24 * 60 * 60 * 1000
TIMES = ("timestamp", "arrived")
CONTEXT_TIMES = (*TIMES, "sensor_from", "location_from", "outside_time")
WINDOW_TIMES = ("window_start", "window_end")
MINUTES = (5, 10)
"""Sizes of windows."""
EVERY_MS = 300_000
"""Time from the beginning of a window to that of the next, of either size."""
WINDOWS_KEPT = 3
"""Windows of a size that are kept of a sensor or a location, with the one that fills up."""
_MINUTE_MS = 60_000
WINDOW_TTL_MS = 24 * 60 * 60 * 1000

_PLACE = ("source_partition", "source_offset")


def latest(sensor_id: str) -> str:
    """Return the key of a sensor's newest good reading, scored."""
    return f"sensors:latest:{sensor_id}"


def rejected(sensor_id: str) -> str:
    """Return the key of a sensor's reading that was rejected last."""
    return f"sensors:rejected:{sensor_id}"


def context(sensor_id: str) -> str:
    """Return the key of a sensor's newest reading with what held at its time."""
    return f"sensors:context:{sensor_id}"


def windows(scope: str, name: str) -> list[str]:
    """Return the keys of the windows kept of a sensor or a location, by size."""
    return [_window(scope, name, size, n) for size in MINUTES for n in range(WINDOWS_KEPT)]


def window(record: Mapping[str, Any]) -> tuple[Write, ...]:
    """Return the write of a SensorWindow in its place.

    A later window takes the place; of two versions of one that with more in it stays.
    """
    start = record["window_start"]
    minutes = (record["window_end"] - start) // _MINUTE_MS
    place = start // EVERY_MS % WINDOWS_KEPT
    document = document_of(record, WINDOW_TIMES) | {"minutes": minutes}
    return (
        Write(
            key=_window(record["scope"], record["name"], minutes, place),
            event_time=start,
            sequence=record["readings"] + record["alerts"],
            data=orjson.dumps(document),
            rule=Rule.NEWEST,
            ttl_ms=WINDOW_TTL_MS,
        ),
    )


def _window(scope: str, name: str, minutes: int, place: int) -> str:
    return f"sensors:window:{scope}:{minutes}:{place}:{name}"


def scored(record: Mapping[str, Any]) -> tuple[Write, ...]:
    """Return the writes of a SensorScore: the newest reading by its own time stays.

    One dated ahead counts as of when it arrived: it would else stay until that time comes.
    """
    when = min(record["timestamp"], record["arrived"])
    return _kept(latest(record["sensor_id"]), record, when)


def refused(record: Mapping[str, Any]) -> tuple[Write, ...]:
    """Return the writes of a RejectedReading: the one received last stays, whatever its time."""
    return _kept(rejected(record["sensor_id"]), record, record["arrived"])


def context_of(record: Mapping[str, Any]) -> tuple[Write, ...]:
    """Return the write of a SensorContext: the newest by the reading's own time stays."""
    times = [name for name in CONTEXT_TIMES if record[name] is not None]
    return (
        Write(
            key=context(record["sensor_id"]),
            event_time=min(record["timestamp"], record["arrived"]),
            sequence=record["source_offset"],
            data=orjson.dumps(_without_place(document_of(record, times))),
            rule=Rule.NEWEST,
            ttl_ms=TTL_MS,
        ),
    )


def _kept(key: str, record: Mapping[str, Any], time: int) -> tuple[Write, ...]:
    return (
        Write(
            key=key,
            event_time=time,
            sequence=record["source_offset"],
            data=orjson.dumps(_without_place(document_of(record, TIMES))),
            rule=Rule.NEWEST,
            index=Index(SENSORS, KEEP, member=record["sensor_id"]),
            ttl_ms=TTL_MS,
        ),
    )


def _without_place(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _PLACE}

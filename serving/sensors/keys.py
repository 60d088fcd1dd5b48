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

_PLACE = ("source_partition", "source_offset")


def latest(sensor_id: str) -> str:
    """Return the key of a sensor's newest good reading, scored."""
    return f"sensors:latest:{sensor_id}"


def rejected(sensor_id: str) -> str:
    """Return the key of a sensor's reading that was rejected last."""
    return f"sensors:rejected:{sensor_id}"


def scored(record: Mapping[str, Any]) -> tuple[Write, ...]:
    """Return the writes of a SensorScore: the newest reading by its own time stays.

    One dated ahead counts as of when it arrived: it would else stay until that time comes.
    """
    when = min(record["timestamp"], record["arrived"])
    return _kept(latest(record["sensor_id"]), record, when)


def refused(record: Mapping[str, Any]) -> tuple[Write, ...]:
    """Return the writes of a RejectedReading: the one received last stays, whatever its time."""
    return _kept(rejected(record["sensor_id"]), record, record["arrived"])


def _kept(key: str, record: Mapping[str, Any], time: int) -> tuple[Write, ...]:
    document = {
        name: value for name, value in document_of(record, TIMES).items() if name not in _PLACE
    }
    return (
        Write(
            key=key,
            event_time=time,
            sequence=record["source_offset"],
            data=orjson.dumps(document),
            rule=Rule.NEWEST,
            index=Index(SENSORS, KEEP, member=record["sensor_id"]),
            ttl_ms=TTL_MS,
        ),
    )

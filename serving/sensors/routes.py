"""Serve `/v1/sensors`: each sensor as it stands."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from serving.api.context import Values, first, of
from serving.api.problems import Problem, described
from serving.sensors import keys
from serving.sensors.intake import READING

router = APIRouter(prefix="/v1/sensors", tags=["sensors"])
locations = APIRouter(prefix="/v1/locations", tags=["sensors"])
routers = (router, locations)

State = Literal["ok", "alert", "rejected"]

SCORED: dict[str, Any] = {
    **READING,
    "sensor_type": "default",
    "score": 0.6,
    "findings": ["HIGH_TEMP"],
    "alert_id": "boiler-7/1764486000000",
    "late": False,
    "arrived": "2025-11-30T07:03:20.050Z",
}
WINDOW: dict[str, Any] = {
    "window_id": "sensor/boiler-7/5/1764486000",
    "scope": "sensor",
    "name": "boiler-7",
    "window_start": "2025-11-30T07:00:00.000Z",
    "window_end": "2025-11-30T07:05:00.000Z",
    "readings": 300,
    "mean": 20.1,
    "min": 19.5,
    "max": 22.0,
    "p50": 20.0,
    "p95": 21.4,
    "p99": 21.9,
    "alerts": 1,
    "minutes": 5,
}
SENSOR: dict[str, Any] = {
    "sensor_id": "boiler-7",
    "state": "alert",
    "latest": SCORED,
    "rejected": None,
    "windows": None,
    "context": None,
}
WINDOWS = "the newest windows of 5 and of 10 minutes (every 5), also those that fill up"


class Sensor(BaseModel):
    """A sensor as it stands."""

    model_config = ConfigDict(json_schema_extra={"example": SENSOR})

    sensor_id: str
    state: State = Field(
        description="alert: one is open; rejected: its last reading failed the quality gate"
    )
    latest: dict[str, Any] | None = Field(description="its newest good reading, scored")
    rejected: dict[str, Any] | None = Field(
        description="its last reading that failed the quality gate, with the reasons"
    )
    windows: list[dict[str, Any]] | None = Field(
        default=None, description=f"{WINDOWS}; of one sensor asked for alone"
    )
    context: dict[str, Any] | None = Field(
        default=None,
        description="its newest good reading with the metadata of the sensor and its location and "
        "the outside series that held at its time, five minutes later; of one sensor asked for "
        "alone",
    )


class Location(BaseModel):
    """Windows over all sensors of a place."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"location": "hall-2", "windows": [WINDOW]}}
    )

    location: str
    windows: list[dict[str, Any]] = Field(description=WINDOWS)


class Sensors(BaseModel):
    """Sensors, those heard of last first."""

    sensors: list[Sensor]


@router.get(
    "",
    summary="Sensors as they stand",
    response_model=Sensors,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def sensors(
    request: Request,
    state: Annotated[State | None, Query(description="only those in this state")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many")] = 100,
) -> Response:
    """Return the sensors heard of last, newest first."""
    values = of(request).values

    async def look_up(names: list[str]) -> list[dict[str, Any]]:
        known = await standing(values, names)
        return [one for one in known if state in (None, one["state"])]

    members = await values.newest(keys.SENSORS, keys.KEEP if state else limit)
    found = await first(look_up, members, limit)
    return Response(orjson.dumps({"sensors": found}), media_type="application/json")


@router.get(
    "/{sensor_id:rest}",
    summary="A sensor as it stands",
    response_model=Sensor,
    responses=described(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def sensor(
    request: Request,
    sensor_id: Annotated[str, Path(description="as in its readings", examples=["boiler-7"])],
) -> Response:
    """Return the sensor's newest good reading, what was last rejected, its windows and context."""
    values = of(request).values
    found = await standing(values, [sensor_id])
    if not found:
        raise Problem(HTTPStatus.NOT_FOUND, f"nothing is known of sensor {sensor_id}")
    (stored,) = await values.get_many([keys.context(sensor_id)])
    whole = found[0] | {
        "windows": await _windows(values, "sensor", sensor_id),
        "context": None if stored is None else orjson.loads(stored),
    }
    return Response(orjson.dumps(whole), media_type="application/json")


@locations.get(
    "/{location:rest}",
    summary="A location's windows",
    response_model=Location,
    responses=described(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def location_(
    request: Request,
    location: Annotated[str, Path(description="as in readings", examples=["hall-2"])],
) -> Response:
    """Return what the sensors of a location have measured together, and their alerts."""
    windows = await _windows(of(request).values, "location", location)
    if not windows:
        raise Problem(HTTPStatus.NOT_FOUND, f"nothing is known of location {location}")
    whole = {"location": location, "windows": windows}
    return Response(orjson.dumps(whole), media_type="application/json")


async def _windows(values: Values, scope: str, name: str) -> list[dict[str, Any]]:
    """Return the newest windows, the shorter ones first, the newest of each size first."""
    stored = await values.get_many(keys.windows(scope, name))
    found = [orjson.loads(one) for one in stored if one is not None]
    found.sort(key=lambda one: one["window_start"], reverse=True)
    return sorted(found, key=lambda one: int(one["minutes"]))


async def standing(values: Values, names: list[str]) -> list[dict[str, Any]]:
    """Return the documents of those sensors of which anything is known."""
    stored = await values.get_many(
        [key for name in names for key in (keys.latest(name), keys.rejected(name))]
    )
    found = []
    for name, good, bad in zip(names, stored[::2], stored[1::2], strict=True):
        latest, rejected = (None if one is None else orjson.loads(one) for one in (good, bad))
        if latest or rejected:
            state = _state(latest, rejected)
            found.append(
                {"sensor_id": name, "state": state, "latest": latest, "rejected": rejected}
            )
    return found


def _state(latest: dict[str, Any] | None, rejected: dict[str, Any] | None) -> State:
    if latest is None or (rejected is not None and rejected["arrived"] > latest["arrived"]):
        return "rejected"
    return "alert" if latest["alert_id"] else "ok"

"""Take readings by `POST /v1/sensors/readings`, as sensors speak: JSON, one or a batch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Body
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from domain.times import since_epoch
from serving.api.context import Context, of
from serving.api.gateway import Gateway
from serving.api.problems import described
from serving.api.refusals import refusals

TOPIC, PART = "sensor-readings", "sensors"
MOST = 1000
"""Readings in one request."""

router = APIRouter(prefix="/v1/sensors", tags=["sensors"])
routers = (router,)

READING: dict[str, Any] = {
    "sensor_id": "boiler-7",
    "timestamp": "2025-11-30T07:03:20.000Z",
    "value": 20.4,
    "temperature": 31.2,
    "humidity": 41.0,
    "pressure": 1013.2,
    "location": "hall-2",
    "status": "OK",
    "asset_id": "boiler",
}

Name = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Reading(BaseModel):
    """What a sensor measured. What is missing or impossible is the quality gate's to say."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": READING})

    sensor_id: Name
    timestamp: AwareDatetime | None = Field(
        default=None, description="ISO 8601 with a zone, or milliseconds; now if absent"
    )
    value: Number | None = None
    temperature: Number | None = Field(default=None, description="degrees Celsius")
    humidity: Number | None = Field(default=None, description="percent")
    pressure: Number | None = Field(default=None, description="hPa")
    location: Name | None = None
    status: Literal["OK", "WARN", "FAIL"] = "OK"
    asset_id: Name | None = None
    sensor_type: Name = Field(default="default", description="a type of config/sensors.yaml")


class Accepted(BaseModel):
    """How many readings Kafka has confirmed."""

    accepted: int


@asynccontextmanager
async def lifespan(context: Context) -> AsyncIterator[None]:
    """Run the producer of readings."""
    gateway = context.parts[PART] = Gateway(context.settings.kafka_bootstrap, context.codec, TOPIC)
    async with gateway:
        yield


@router.post(
    "/readings",
    summary="Take one reading or a batch",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Accepted,
    responses=described(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
async def take(
    request: Request,
    readings: Annotated[
        Reading | Annotated[list[Reading], Field(min_length=1, max_length=MOST)], Body()
    ],
) -> Response:
    """Answer 202 once Kafka has all of them. They are then judged: see `GET /v1/sensors/{id}`.

    503 means that some may not have been taken: repeat the request. With timestamps that is safe, a
    reading that comes twice counts once.
    """
    gateway: Gateway = of(request).parts[PART]
    every = readings if isinstance(readings, list) else [readings]
    now = int(time.time() * 1000)
    with refusals():
        values = [(one.sensor_id, gateway.encode(_record(one, now))) for one in every]
        sent = [gateway.produce(key, value) for key, value in values]
        await asyncio.gather(*sent)
    return Response(
        orjson.dumps({"accepted": len(sent)}), HTTPStatus.ACCEPTED, media_type="application/json"
    )


def _record(reading: Reading, now: int) -> dict[str, Any]:
    when = reading.timestamp
    said = now if when is None else since_epoch(when)
    return {**reading.model_dump(), "timestamp": said}

"""Take what Alertmanager tells: `POST /v1/alerts/prometheus`, onto the topic `alerts`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Body
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from domain.alerts.prometheus import record
from domain.times import since_epoch
from serving.alerts.consumer import ALERTS
from serving.api.context import Context, of
from serving.api.gateway import Gateway
from serving.api.problems import described
from serving.api.refusals import refusals

PART = "alerts"

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])
routers = (router,)

Texts = dict[str, str]


class Notified(BaseModel):
    """An alert of Prometheus."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["firing", "resolved"]
    labels: Texts
    annotations: Texts = {}
    starts_at: AwareDatetime = Field(alias="startsAt")
    ends_at: AwareDatetime | None = Field(default=None, alias="endsAt")
    fingerprint: Annotated[str, Field(min_length=1, max_length=100)]
    generator_url: str = Field(default="", alias="generatorURL")


class Notification(BaseModel):
    """The body that Alertmanager POSTs to a webhook, version 4: the alerts of a group."""

    model_config = ConfigDict(extra="ignore")

    version: Literal["4"] = "4"
    alerts: Annotated[list[Notified], Field(max_length=1000)]


class Taken(BaseModel):
    """The number of alerts that Kafka has confirmed, without those that came from here."""

    accepted: int


@asynccontextmanager
async def lifespan(context: Context) -> AsyncIterator[None]:
    """Run the producer of alerts."""
    gateway = context.parts[PART] = Gateway(context.settings.kafka_bootstrap, context.codec, ALERTS)
    async with gateway:
        yield


@router.post(
    "/prometheus",
    summary="Take alerts from Alertmanager's webhook",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Taken,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def take(request: Request, told: Annotated[Notification, Body()]) -> Response:
    """Answer 202 once Kafka has all of them; 503 makes Alertmanager tell them again.

    What is told twice is the same record again.
    """
    gateway: Gateway = of(request).parts[PART]
    found = [one for one in map(_record, told.alerts) if one is not None]
    with refusals():
        values = [(one["entity"], gateway.encode(one)) for one in found]
        await asyncio.gather(*(gateway.produce(key, value) for key, value in values))
    return Response(
        orjson.dumps({"accepted": len(found)}), HTTPStatus.ACCEPTED, media_type="application/json"
    )


def _record(alert: Notified) -> dict[str, Any] | None:
    over = alert.status == "resolved" and alert.ends_at is not None
    ends = since_epoch(alert.ends_at) if over and alert.ends_at is not None else None
    return record(alert.model_dump(by_alias=True), since_epoch(alert.starts_at), ends)

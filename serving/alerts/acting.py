"""Take what people do about alerts: `POST /v1/alerts/acknowledgements` and `/v1/alerts/silences`.

An act is a record on `alert-acts`, as `millrace alerts ack` and `silence` write it, too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from config.clock import now_ms
from domain.alerts.acts import acknowledgement, silence
from domain.times import iso
from serving.alerts import keys
from serving.alerts.consumer import ACTS
from serving.api.context import Context, of
from serving.api.gateway import Gateway
from serving.api.problems import described
from serving.api.refusals import refusals

PART = "alert-acts"
LONGEST_S = 366 * 86_400

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])
routers = (router,)

Text = Annotated[str, Field(max_length=1000)]
REFUSED = described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE)


class Acknowledgement(BaseModel):
    """Somebody has seen an alert: reminders of it are no longer sent."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"alert_id": "boiler-7/1764486000000", "by": "ada", "note": "on my way"}
        },
    )

    alert_id: Annotated[str, Field(min_length=1, max_length=1000)]
    by: Text = ""
    note: Text = ""


class Silence(BaseModel):
    """Alerts of an entity, of a kind, or of both are kept and listed, but not sent to anybody."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"entity": "boiler-7", "seconds": 7200, "by": "ada"}},
    )

    entity: Text = ""
    kind: Text = ""
    seconds: int = Field(ge=0, le=LONGEST_S, description="from now on; 0 lifts the silence")
    by: Text = ""
    note: Text = ""

    @model_validator(mode="after")
    def _names_something(self) -> Silence:
        silence(self.entity, self.kind, now=0, until=0)
        return self


class Done(BaseModel):
    """The act that Kafka has confirmed."""

    subject: str
    at: str


class Silences(BaseModel):
    """Silences that hold now."""

    silences: list[dict[str, Any]]


@asynccontextmanager
async def lifespan(context: Context) -> AsyncIterator[None]:
    """Run the producer of acts."""
    gateway = context.parts[PART] = Gateway(context.settings.kafka_bootstrap, context.codec, ACTS)
    async with gateway:
        yield


@router.post(
    "/acknowledgements",
    summary="Say that somebody has seen an alert",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Done,
    responses=REFUSED,
)
async def acknowledge(request: Request, said: Annotated[Acknowledgement, Body()]) -> Response:
    """Answer 202 once Kafka has it. It holds for good, whatever is read again."""
    return await _produce(
        request, acknowledgement(said.alert_id, now=now_ms(), by=said.by, note=said.note)
    )


@router.post(
    "/silences",
    summary="Silence alerts for a while",
    status_code=HTTPStatus.ACCEPTED,
    response_model=Done,
    responses=REFUSED,
)
async def silence_(request: Request, said: Annotated[Silence, Body()]) -> Response:
    """Answer 202 once Kafka has it. A later one for the same entity and kind replaces it."""
    now = now_ms()
    until = now + said.seconds * 1000
    act = silence(said.entity, said.kind, now=now, until=until, by=said.by, note=said.note)
    return await _produce(request, act)


@router.get(
    "/silences",
    summary="Silences that hold now",
    response_model=Silences,
    responses=described(HTTPStatus.SERVICE_UNAVAILABLE),
)
async def silences(request: Request) -> Response:
    """Return the silences that have not ended, the newest first."""
    values = of(request).values
    members = await values.newest(keys.SILENCES, keys.KEEP_SILENCES)
    stored = await values.get_many([keys.act(one.decode()) for one in members])
    acts = [orjson.loads(data) for data in stored if data is not None]
    held = [
        {
            "entity": act["entity"],
            "kind": act["kind"],
            "until": iso(act["until"]),
            "by": act["by"],
            "note": act["note"],
        }
        for act in acts
        if (act["until"] or 0) > now_ms()
    ]
    return Response(orjson.dumps({"silences": held}), media_type="application/json")


async def _produce(request: Request, act: dict[str, Any]) -> Response:
    gateway: Gateway = of(request).parts[PART]
    with refusals():
        await gateway.produce(act["subject"], gateway.encode(act))
    told = {"subject": act["subject"], "at": iso(act["event_time"])}
    return Response(orjson.dumps(told), HTTPStatus.ACCEPTED, media_type="application/json")

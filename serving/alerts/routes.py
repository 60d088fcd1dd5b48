"""Serve `/v1/alerts`: what a person should know, as it stands."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from config.clock import now_ms
from domain.alerts.acts import Acts, subjects
from domain.events import AlertState, Severity
from serving.alerts import keys
from serving.api.context import Values, first, of
from serving.api.problems import Problem, described

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])
routers = (router,)

ALERT: dict[str, Any] = {
    "alert_id": "boiler-7/1764486000000",
    "entity": "boiler-7",
    "event_time": "2025-11-30T07:03:20.000Z",
    "kind": "HIGH_TEMP",
    "severity": "warning",
    "message": "boiler-7 in hall-2: temperature 31.2 is above 30",
    "details": {"kinds": "HIGH_TEMP REPEATED", "readings": "4"},
    "state": "still_open",
    "opened_at": "2025-11-30T07:00:00.000Z",
    "product": "sensors",
    "score": 0.76,
    "location": "hall-2",
    "acknowledged": {"by": "ada", "note": "on my way", "at": "2025-11-30T07:05:00.000Z"},
    "silenced_until": None,
}


class Acknowledged(BaseModel):
    """Who has seen an alert."""

    by: str
    note: str
    at: str


class Alert(BaseModel):
    """Something that a person should know, as it stands."""

    model_config = ConfigDict(json_schema_extra={"example": ALERT})

    alert_id: str = Field(description="the same while it is open")
    entity: str = Field(description="what it is about: a sensor, a customer, a job")
    event_time: str = Field(description="when what was told last happened")
    kind: str = Field(description="what was found first")
    severity: Severity = Field(description="the gravest so far")
    message: str = Field(description="one sentence for a person")
    details: dict[str, str] = Field(description="facts behind it")
    state: AlertState = Field(description="open, still_open or cleared")
    opened_at: str = Field(description="when it opened")
    product: str = Field(description="where it comes from")
    score: float | None = Field(description="how sure, the highest so far")
    location: str | None = Field(description="where, if known")
    acknowledged: Acknowledged | None = Field(description="who has seen it")
    silenced_until: str | None = Field(description="until when it is not sent to anybody")


class Alerts(BaseModel):
    """Alerts, those told of last first."""

    alerts: list[Alert]


@router.get(
    "",
    summary="Alerts as they stand",
    response_model=Alerts,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def alerts(
    request: Request,
    state: Annotated[
        str | None, Query(pattern="^(open|cleared)$", description="open or cleared; all without")
    ] = None,
    severity: Annotated[Severity | None, Query(description="only this one")] = None,
    entity: Annotated[str | None, Query(description="only of this one")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many")] = 100,
) -> Response:
    """Return the alerts told of last, newest first. An open one may have been told of again."""
    found = await listed(of(request).values, limit, state=state, severity=severity, entity=entity)
    return Response(orjson.dumps({"alerts": found}), media_type="application/json")


async def listed(
    values: Values,
    limit: int,
    *,
    state: str | None = None,
    severity: str | None = None,
    entity: str | None = None,
    among: int = keys.KEEP,
) -> list[dict[str, Any]]:
    """Return `limit` alerts at most, newest first; filters look `among` those told of last."""

    async def look_up(names: list[str]) -> list[dict[str, Any]]:
        stored = await values.get_many([keys.alert(name) for name in names])
        known = [orjson.loads(data) for data in stored if data is not None]
        wanted = [one for one in known if _wanted(one, state, severity, entity)]
        return await _with_acts(values, wanted)

    most = among if state or severity or entity else limit
    found: list[dict[str, Any]] = []
    for index in (keys.RECENT,) if state == "open" else (keys.RECENT, keys.MOMENTS):
        found += await first(look_up, await values.newest(index, most), limit)
    found.sort(key=lambda one: str(one["event_time"]), reverse=True)
    return found[:limit]


def _wanted(
    document: dict[str, Any], state: str | None, severity: str | None, entity: str | None
) -> bool:
    cleared = document["state"] == "cleared"
    return (
        (state is None or (state == "cleared") == cleared)
        and severity in (None, document["severity"])
        and entity in (None, document["entity"])
    )


@router.get(
    "/{alert_id:rest}",
    summary="One alert",
    response_model=Alert,
    responses=described(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def alert(
    request: Request, alert_id: Annotated[str, Path(description="as listed")]
) -> Response:
    """Return the alert as it stands."""
    values = of(request).values
    data = await values.get(keys.alert(alert_id))
    if data is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"no alert {alert_id} is known")
    (found,) = await _with_acts(values, [orjson.loads(data)])
    return Response(orjson.dumps(found), media_type="application/json")


async def _with_acts(values: Values, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return alerts with what people did about them, in one round trip."""
    if not found:
        return []
    asked = [subjects(one) for one in found]
    stored = await values.get_many([keys.act(one) for several in asked for one in several])
    acts = Acts()
    for data in stored:
        if data is not None:
            acts.take(orjson.loads(data), 0)  # one a subject is stored
    now = now_ms()
    return [{**one, **acts.about(one, now)} for one in found]

"""Serve `/v1/recommendations`: visitors' lists, sessions in hand, and how good the lists are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, cast

import orjson
from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from serving.api import problems
from serving.api.context import Context, of
from serving.api.lean import LeanRoute
from serving.api.problems import Problem, described
from serving.lines import Asker, AwayError, FailedError
from serving.recommendations import keys, server
from serving.recommendations.types import Answer, Asked, HitRate, VisitorList

PREFIX = "/v1/recommendations"
AWAY = "the recommender does not answer; lists of visitors are there all the same"
PART = "recommender"

lookups = APIRouter(prefix=PREFIX, tags=["recommendations"], route_class=LeanRoute)
figures = APIRouter(prefix="/v1/metrics", tags=["recommendations"])
routers = (lookups, figures)


@asynccontextmanager
async def lifespan(context: Context) -> AsyncIterator[None]:
    """Hold a connection to the recommender."""
    asker = Asker(context.settings.recommender_url)
    context.parts[PART] = asker
    try:
        yield
    finally:
        asker.close()


@lookups.get(
    "/{user_id:rest}",
    summary="A visitor's list",
    response_model=VisitorList,
    responses=described(HTTPStatus.SERVICE_UNAVAILABLE),
)
async def visitor(request: Request, user_id: str) -> Response:
    """Return the list made after the visitor's newest click; what is popular if there is none."""
    values = of(request).values
    found = await values.get(keys.visitor(user_id))
    if found is None:
        popular = await values.get(keys.POPULAR)
        known = orjson.loads(popular) if popular else {"computed_at": None, "items": []}
        nobody = {"user_id": user_id, "session_id": None, "event_time": None, "clicks": 0}
        found = orjson.dumps({**nobody, **known})
    return Response(found, media_type="application/json")


@lookups.post(
    "/session",
    summary="The best next items of a session in hand",
    response_model=Answer,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": Asked.model_json_schema()}},
        }
    },
)
async def session(request: Request) -> Response:
    """Return ranked items with their reasons, from the index as it is now.

    Items that the session bought are never among them. Without items: what is popular.
    """
    asker = cast("Asker", of(request).parts[PART])
    try:
        asked = Asked.model_validate_json(await request.body())
    except ValidationError as error:
        return problems.response(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "the request is not valid",
            request.url.path,
            errors=problems.mistakes(error),
        )
    if asked.mistake is not None:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, asked.mistake)
    try:
        answer = await asker.ask(server.question(asked))
    except (AwayError, FailedError):
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, AWAY) from None
    return Response(answer, media_type="application/json")


@figures.get(
    "/recommendations",
    summary="Hit rate by the hour",
    response_model=HitRate,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def hit_rate(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=keys.KEEP_HOURS, description="how many hours")] = 24,
) -> Response:
    """Return the share of clicks that were in the list shown before, newest hour first."""
    values = of(request).values
    names = await values.newest(keys.HOURS, keys.KEEP_HOURS)
    found = await values.get_many([keys.hour(name.decode()) for name in names])
    hours: dict[str, dict[str, Any]] = {}
    for document in (orjson.loads(one) for one in found if one is not None):
        hour = hours.setdefault(
            document["hour"], {"hour": document["hour"], "clicks": 0, "hits": 0}
        )
        hour["clicks"] += document["clicks"]
        hour["hits"] += document["hits"]
    newest = sorted(hours.values(), key=lambda one: str(one["hour"]), reverse=True)[:limit]
    body = [{**one, "hit_rate": one["hits"] / one["clicks"]} for one in newest]
    return Response(orjson.dumps({"hours": body}), media_type="application/json")

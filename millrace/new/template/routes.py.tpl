"""`/v1/@TOPIC@`: what is known of one @KEY@."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from serving.api.context import of
from serving.api.lean import LeanRoute
from serving.api.problems import Problem, described
from starlette.requests import Request
from starlette.responses import Response

from @NAME@ import keys

router = APIRouter(prefix="/v1/@TOPIC@", tags=["@NAME@"], route_class=LeanRoute)
routers = (router,)


@router.get(
    "/{@KEY@:rest}",
    summary="What is known of one @KEY@",
    responses=described(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def latest(
    request: Request, @KEY@: Annotated[str, Path(description="as in the events")]
) -> Response:
    """Answer the newest features, by event time."""
    data = await of(request).values.get(keys.latest(@KEY@))
    if data is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"nothing is known of {@KEY@}")
    return Response(data, media_type="application/json")

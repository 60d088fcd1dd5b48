"""Serve `/v1/inventory`: each item's stock as it stands."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from serving.api.context import of
from serving.api.problems import Problem, described
from serving.inventory import keys

router = APIRouter(prefix="/v1/inventory", tags=["inventory"])
routers = (router,)


class Item(BaseModel):
    """An item's stock."""

    item_id: str
    level: float | None = Field(description="units; null before the first delivery or count")


@router.get(
    "/{item_id:rest}",
    summary="An item's stock as it stands",
    response_model=Item,
    responses=described(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def item(
    request: Request,
    item_id: Annotated[str, Path(description="as in events of the shop", examples=["461686"])],
) -> Response:
    """Return the item's level."""
    data = await of(request).values.get(keys.item(item_id))
    if data is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"nothing is known of item {item_id}")
    known: dict[str, Any] = orjson.loads(data)
    found = {"item_id": item_id, "level": known["level"]}
    return Response(orjson.dumps(found), media_type="application/json")

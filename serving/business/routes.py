"""Serve `/v1/metrics/business`: the shop, minute by minute."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from serving.api.context import of
from serving.api.problems import described
from serving.business import keys

router = APIRouter(prefix="/v1/metrics", tags=["business"])
routers = (router,)

MINUTE: dict[str, Any] = {
    "window_start": "2026-05-01T12:00:00.000Z",
    "window_end": "2026-05-01T12:01:00.000Z",
    "orders": 3,
    "gmv": 129.7,
    "unpriced_lines": 0,
    "active_visitors": 41,
    "buyers": 3,
    "conversion": 0.0731707,
    "events": 118,
}


class Minute(BaseModel):
    """One minute of the shop."""

    model_config = ConfigDict(json_schema_extra={"example": MINUTE})

    window_start: str = Field(description="inclusive")
    window_end: str = Field(description="exclusive")
    orders: int = Field(description="distinct orders")
    gmv: float = Field(description="price times quantity over order lines with a known price")
    unpriced_lines: int = Field(
        description="order lines without a price, or of more than 1e15, not in gmv"
    )
    active_visitors: int = Field(description="distinct visitors with any event")
    buyers: int = Field(description="distinct visitors with an order")
    conversion: float | None = Field(description="buyers over active visitors")
    events: int = Field(description="all events")


class Minutes(BaseModel):
    """Minutes, newest first."""

    windows: list[Minute]


@router.get(
    "/business",
    summary="Orders, GMV, visitors and conversion by the minute",
    response_model=Minutes,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def business(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1440, description="how many minutes")] = 60,
) -> Response:
    """Return the newest minutes that had any event, newest first, each as it stands now."""
    values = of(request).values
    starts = await values.newest(keys.WINDOWS, limit)
    windows = await values.get_many([keys.window(start.decode()) for start in starts])
    known = [window for window in windows if window is not None]
    return Response(b'{"windows":[%b]}' % b",".join(known), media_type="application/json")

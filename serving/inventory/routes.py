"""Serve `/v1/inventory`: each item's stock as it stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from config.clock import now_ms
from domain.times import iso
from serving.api.context import AT_ONCE, Values, of
from serving.api.problems import Problem, described
from serving.inventory import keys
from serving.inventory.types import Alerts, Item, Items, State
from serving.inventory.view import Stored, document

router = APIRouter(prefix="/v1/inventory", tags=["inventory"])
routers = (router,)

Limit = Annotated[int, Query(ge=1, le=1000, description="how many at most")]
After = Annotated[
    str | None, Query(description="`next` of the page before: what comes after this item")
]


@router.get(
    "/alerts",
    summary="Open alerts of stock",
    response_model=Alerts,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def alerts(
    request: Request,
    kind: Annotated[str | None, Query(description="only of this kind: LOW_STOCK")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """Return the open alerts by item. Those that have cleared are in `/v1/alerts`."""
    values = of(request).values

    async def look_up(names: list[str]) -> list[dict[str, Any]]:
        stored = await values.get_many([keys.item(name) for name in names])
        known = [orjson.loads(data) for data in stored if data is not None]
        return [
            one for one in known if any(kind in (None, alert["kind"]) for alert in one["alerts"])
        ]

    found, following = await _page(values, keys.WATCHED, look_up, limit, after)
    told = [
        {
            **alert,
            "opened_at": iso(alert["opened_at"]),
            "item_id": one["item_id"],
            "level": one["level"],
        }
        for one in found
        for alert in one["alerts"]
        if kind in (None, alert["kind"])
    ]
    return Response(
        orjson.dumps({"alerts": told, "next": following}), media_type="application/json"
    )


@router.get(
    "/items",
    summary="Items as they stand, page by page",
    response_model=Items,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def items(
    request: Request,
    at_risk: Annotated[
        bool | None, Query(description="those with an open alert or at a limit, or all others")
    ] = None,
    state: Annotated[State | None, Query(description="known, or unknown: sold without")] = None,
    limit: Limit = 100,
    after: After = None,
) -> Response:
    """Return items in the order of their ids.

    Whether one is at risk is worked out now: a page of few such items reads many others.
    """
    values, now = of(request).values, now_ms()

    async def look_up(names: list[str]) -> list[dict[str, Any]]:
        known = [document(one, now) for one in await stored_of(values, names)]
        return [
            one
            for one in known
            if at_risk in (None, one["at_risk"]) and state in (None, one["state"])
        ]

    found, following = await _page(values, keys.ITEMS, look_up, limit, after)
    return Response(
        orjson.dumps({"items": found, "next": following}), media_type="application/json"
    )


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
    """Return the item's level, demand, run-out, alerts, and what to order, as of now."""
    found = await stored_of(of(request).values, [item_id])
    if not found:
        raise Problem(HTTPStatus.NOT_FOUND, f"nothing is known of item {item_id}")
    return Response(orjson.dumps(document(found[0], now_ms())), media_type="application/json")


async def _page(
    values: Values,
    index: str,
    look_up: Callable[[list[str]], Awaitable[list[dict[str, Any]]]],
    limit: int,
    after: str | None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the first documents after an item, in the order of ids, and the last item's id.

    It is None where nothing follows. Items that come or go meanwhile move no other.
    """
    members = sorted(one.decode() for one in await values.newest(index, keys.KEEP))
    start = 0 if after is None else bisect_right(members, after)
    found: list[dict[str, Any]] = []
    for place in range(start, len(members), AT_ONCE):
        found += await look_up(members[place : place + AT_ONCE])
        if len(found) > limit:
            return found[:limit], found[limit - 1]["item_id"]
    return found, None


async def stored_of(values: Values, names: list[str]) -> list[Stored]:
    """Return what is stored of those items of which anything is, in one round trip."""
    parts = (keys.item, keys.demand, keys.count, keys.forecast)
    data = await values.get_many([key(name) for name in names for key in parts])
    read = [None if one is None else orjson.loads(one) for one in data]
    rows = (read[place : place + len(parts)] for place in range(0, len(read), len(parts)))
    return [Stored(level, *others) for level, *others in rows if level is not None]

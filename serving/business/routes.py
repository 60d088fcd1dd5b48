"""Serve `/v1/metrics/business`: the shop by windows of a minute, five minutes, an hour."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from domain.shop.bands import Band, Hour, band, before, usual
from domain.shop.windows import LATE_MS
from domain.times import iso, milliseconds, since_epoch
from serving.api.context import AT_ONCE, Values, of
from serving.api.problems import Problem, described
from serving.business import keys
from serving.business.types import Length, Windows

router = APIRouter(prefix="/v1/metrics", tags=["business"])
routers = (router,)


@router.get(
    "/business",
    summary="Orders, GMV, conversion, fraud and best sellers by window",
    response_model=Windows,
    responses=described(HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE),
)
async def business(
    request: Request,
    *,
    window: Annotated[Length, Query(description="length of the windows")] = "1m",
    since: Annotated[
        datetime | None,
        Query(alias="from", description="windows that begin then or later; UTC without a zone"),
    ] = None,
    to: Annotated[datetime | None, Query(description="windows that begin before; `next`")] = None,
    limit: Annotated[int, Query(ge=1, le=1440, description="how many windows")] = 60,
    top: Annotated[int, Query(ge=0, le=100, description="how many items and categories")] = 5,
    with_band: Annotated[
        bool | None,
        Query(alias="band", description="compare with the same time of the days before; 1h: yes"),
    ] = None,
) -> Response:
    """Return the windows that had any event, newest first, each as it stands now.

    `next` is the `to` of the next page; null where nothing follows.
    """
    values = of(request).values
    found, following = await _page(values, window, _ms(since), _ms(to), limit)
    newest = await values.newest(keys.index("1m"), 1)
    front = int(newest[0]) if newest else 0
    await _categorise(values, found, top)
    bands = await _bands(values, window, found, with_band)
    for one, about in zip(found, bands, strict=True):
        one["closed"] = milliseconds(one["window_end"]) + LATE_MS <= front
        one["band"] = about
    told = {"window": window, "windows": found, "next": following}
    return Response(orjson.dumps(told), media_type="application/json")


async def latest(
    values: Values, length: str, limit: int, *, compared: bool = False
) -> list[dict[str, Any]]:
    """Return the newest windows of a length, the oldest first, with their `band` if compared."""
    found, _ = await _page(values, length, None, None, limit)
    for one, about in zip(found, await _bands(values, length, found, compared), strict=True):
        one["band"] = about
    return found[::-1]


def _ms(when: datetime | None) -> int | None:
    if when is None:
        return None
    return since_epoch(when if when.tzinfo else when.replace(tzinfo=UTC))


async def _page(
    values: Values, length: str, since: int | None, to: int | None, limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    if since is not None and to is not None and since >= to:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "`from` must be before `to`")
    bounded = since is not None or to is not None
    names = await values.newest(keys.index(length), keys.KEEP[length] if bounded else limit + 1)
    starts = [
        start
        for start in map(int, names)
        if (since is None or start >= since) and (to is None or start < to)
    ]
    found = await _documents(values, length, starts[:limit])
    return found, iso(starts[limit - 1]) if len(starts) > limit else None


async def _documents(values: Values, length: str, starts: Iterable[int]) -> list[dict[str, Any]]:
    """Return the windows that begin then, of those that are known."""
    wanted = [keys.window(length, keys.member(start)) for start in starts]
    return [orjson.loads(one) for one in await _many(values, wanted) if one is not None]


async def _many(values: Values, wanted: list[str]) -> list[bytes | None]:
    found: list[bytes | None] = []
    for place in range(0, len(wanted), AT_ONCE):
        found += await values.get_many(wanted[place : place + AT_ONCE])
    return found


async def _categorise(values: Values, windows: list[dict[str, Any]], top: int) -> None:
    """Give items their categories as they are now, and add these up."""
    items = sorted({one["item_id"] for window in windows for one in window["top_items"]})
    known = await _many(values, [keys.category(item) for item in items])
    named = {
        item: None if data is None else orjson.loads(data)
        for item, data in zip(items, known, strict=True)
    }
    for window in windows:
        sums: dict[str | None, dict[str, Any]] = {}
        for one in window["top_items"]:
            one["category"] = named[one["item_id"]]
            entry = sums.setdefault(
                one["category"], {"category": one["category"], "units": 0, "gmv_minor": 0}
            )
            entry["units"] += one["units"]
            entry["gmv_minor"] += one["gmv_minor"]
        ranked = sorted(
            sums.values(),
            key=lambda one: (-one["gmv_minor"], -one["units"], one["category"] or ""),
        )
        window["top_items"] = window["top_items"][:top]
        window["top_categories"] = ranked[:top]


async def _bands(
    values: Values, length: str, windows: list[dict[str, Any]], wanted: bool | None
) -> list[dict[str, Any] | None]:
    """Return the bands of each window; None where it is not asked for."""
    if not (length == "1h" if wanted is None else wanted):
        return [None] * len(windows)
    starts = [milliseconds(window["window_start"]) for window in windows]
    days = sorted({day for start in starts for day in before(start)})
    known = {
        milliseconds(one["window_start"]): one for one in await _documents(values, length, days)
    }
    told: list[dict[str, Any] | None] = []
    for start, window in zip(starts, windows, strict=True):
        earlier = [known[day] for day in before(start) if day in known]
        told.append(_compared(window, earlier))
    return told


def _compared(window: dict[str, Any], earlier: list[dict[str, Any]]) -> dict[str, Any]:
    hours = [
        Hour(0, one["orders"], one["gmv_minor"], one["viewed"], one["purchased"]) for one in earlier
    ]
    rates = [one["fraud_rate"] for one in earlier if one["fraud_rate"] is not None]
    return {
        "gmv_minor": _told(usual("gmv_minor", hours)),
        "path_conversion": _told(usual("path_conversion", hours, window["viewed"])),
        "fraud_rate": _told(band(rates)),
    }


def _told(about: Band | None) -> dict[str, Any] | None:
    if about is None:
        return None
    return {"low": about.low, "median": about.median, "high": about.high, "days": about.days}

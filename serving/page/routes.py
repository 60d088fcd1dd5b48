"""Serve the live page at `/`, its files, and the stream of what it shows.

The page itself is open, as it says nothing; the stream takes a key as every look-up does.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

import orjson
from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from serving.api.problems import Problem
from serving.page.page import Page

BELOW = "/page/"
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
SAFE: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Asked again each time: a page of another release must not meet scripts of this one.
    "Cache-Control": "no-cache",
}
STREAMED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

open_router = APIRouter(include_in_schema=False)
router = APIRouter(prefix="/v1/page", tags=["page"])


def _page(request: Request) -> Page:
    page: Page = request.app.state.page
    return page


def _file(request: Request, name: str) -> Response:
    asset = _page(request).assets.get(name)
    if asset is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"the page has no file {name}")
    return Response(asset.data, media_type=asset.media_type, headers=dict(SAFE))


@open_router.get("/")
async def index(request: Request) -> Response:
    """Return the page."""
    return _file(request, "index.html")


@open_router.get(BELOW + "{name:path}")
async def file(request: Request, name: str) -> Response:
    """Return a file of the page."""
    return _file(request, name)


@router.get("/panels", summary="The panels of the live page", response_class=Response)
async def panels(request: Request) -> Response:
    """Return what the page shows, in its order: a panel for each product that runs."""
    return Response(
        orjson.dumps({"panels": _page(request).layout()}), media_type="application/json"
    )


@router.get(
    "/stream",
    summary="What the live page shows, as it changes",
    response_class=StreamingResponse,
    responses={HTTPStatus.OK: {"content": {"text/event-stream": {}}}},
)
async def stream(
    request: Request,
    last_event_id: Annotated[str | None, Header(description="the last event that was seen")] = None,
) -> Response:
    """Return server-sent events: `whole`, then a `frame` a second with the keys that changed.

    With `Last-Event-ID` the frames missed since come first, or `whole` if they are no longer kept.
    Who reads too slowly is cut off, and comes back in the same way.
    """
    return StreamingResponse(
        _page(request).hub.listen(last_event_id),
        media_type="text/event-stream",
        headers=STREAMED,
    )

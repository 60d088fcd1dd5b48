"""Answer questions about the index, in the process that holds it.

The API passes sessions on to here: an index that learns by the click cannot be in every process
that answers, and fraud's look-ups must not wait for it. The server trusts its callers and listens
where the stack's other inner parts do.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Protocol

import orjson
import structlog
import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from orchestration.recommendations.engine.item import Item, Wish
from serving.api import problems
from serving.listener import listener
from serving.recommendations import keys
from serving.recommendations.types import Asked

PATH = "/session"
log = structlog.get_logger(__name__)


class Source(Protocol):
    """What makes lists, for any thread."""

    def recommend(
        self, items: Sequence[str], actions: Sequence[str] | None, wish: Wish, category: str | None
    ) -> list[Item]:
        """Return a list for a session in hand."""
        ...


def app(source: Source) -> Starlette:
    """Return the server's application."""

    async def session(request: Request) -> Response:
        body = await request.body()
        try:
            asked = Asked.model_validate_json(body)
        except ValidationError as error:
            found = [
                {"where": ".".join(map(str, one["loc"])), "what": one["msg"]}
                for one in error.errors()
            ]
            return problems.response(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "the request is not valid",
                request.url.path,
                errors=found,
            )
        if asked.mistake is not None:
            return problems.response(
                HTTPStatus.UNPROCESSABLE_ENTITY, asked.mistake, request.url.path
            )
        items = source.recommend(asked.items, asked.actions, asked.wish, asked.category)
        content = orjson.dumps({"items": keys.listed(items)})
        return Response(content, media_type="application/json")

    return Starlette(routes=[Route(PATH, session, methods=["POST"])])


class _Server(uvicorn.Server):
    """Uvicorn in a thread: signals stay the process's own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: they are for the consumer's loop."""
        yield


def serve(source: Source, host: str, port: int) -> uvicorn.Server:
    """Serve from a thread of its own until the process ends."""
    server = _Server(listener(app(source), host, port, lifespan="off", timeout_keep_alive=3600))
    threading.Thread(target=server.run, name="recommender", daemon=True).start()
    log.info("serving the index", url=f"http://{host}:{port}{PATH}")
    return server

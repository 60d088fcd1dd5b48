"""Guard every request: key, request limit, body size, and its measurement.

Plain ASGI: no task, no copy.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api import problems
from serving.api.keys import Keys
from serving.api.limiter import Limiter
from serving.api.metrics import Metrics

# The only open paths. Every other one, present or future, takes a key.
OPEN = frozenset({"/", "/healthz", "/readyz", "/metrics", "/docs", "/redoc", "/openapi.json"})
# The scripts and styles of the pages above; what the pages show takes a key.
OPEN_BELOW = ("/static-offline-docs/", "/page/")
BEARER = b"bearer "


def is_open(path: str) -> bool:
    """Return whether a path answers without a key."""
    return path in OPEN or path.startswith(OPEN_BELOW)


class Guard:
    """The middleware. `limiter` is passed in so that tests need no waiting.

    A body may have `max_body` bytes, or those that `bodies` holds for its path.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: Keys,
        limiter: Limiter,
        max_body: int,
        metrics: Metrics,
        bodies: Mapping[str, int] | None = None,
    ) -> None:
        self._app, self._keys, self._limiter, self._metrics = app, keys, limiter, metrics
        self._max, self._bodies = max_body, dict(bodies or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = None if is_open(scope["path"]) else self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, noting)
            elif scope["method"] in ("GET", "HEAD"):
                await self._app(scope, receive, noting)
            else:
                await self._app(scope, _counted(receive, self._most(scope)), noting)
        finally:
            self._metrics.observe(scope, status, time.perf_counter() - started)

    def _refusal(self, scope: Scope) -> Response | None:
        key = length = b""
        for name, value in scope["headers"]:
            if name == b"x-api-key":
                key = value
            elif name == b"authorization" and not key and value[:7].lower() == BEARER:
                key = value[7:].strip()  # what can send no header of its choice, as Alertmanager
            elif name == b"content-length":
                length = value
        path = scope["path"]
        owner = self._keys.owner(key) if key else None
        if owner is None:
            detail = "this API key is not known" if key else "the header X-API-Key is missing"
            return problems.response(
                HTTPStatus.UNAUTHORIZED, detail, path, {"WWW-Authenticate": "ApiKey"}
            )
        wait = self._limiter.wait(owner)
        if wait > 0:
            headers = {"Retry-After": str(int(wait) + 1)}
            return problems.response(
                HTTPStatus.TOO_MANY_REQUESTS, "request limit of this key reached", path, headers
            )
        most = self._most(scope)
        if length.isdigit() and int(length) > most:
            return problems.response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _at_most(most), path)
        return None

    def _most(self, scope: Scope) -> int:
        return self._bodies.get(scope["path"], self._max)


def _at_most(limit: int) -> str:
    return f"a body may have {limit} bytes at most"


def _counted(receive: Receive, limit: int) -> Receive:
    """Count the body as it is read, as Content-Length may be absent or wrong."""
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _at_most(limit))
        return message

    return counting

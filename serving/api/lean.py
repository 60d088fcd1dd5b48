"""A route for look-ups: declared like any other of FastAPI's, called without its parameter machinery.

A look-up has one path parameter and answers stored bytes, so resolving dependencies and serialising a model would be
most of its time (docs/decisions/0005). The signature still makes the OpenAPI page; path parameters arrive as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response


class LeanRoute(APIRoute):
    """The endpoint takes `request` and its path parameters, all strings, and returns a `Response`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        endpoint = self.endpoint

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(request, **request.path_params)
            return response

        return handle

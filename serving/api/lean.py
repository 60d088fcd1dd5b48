"""Serve look-ups by routes declared like FastAPI's, without its machinery.

A look-up has one path parameter and answers stored bytes, so matching through included routers,
resolving dependencies and serialising a model would take most of its time (docs/decisions/0005).
The declaration still makes the OpenAPI page; the serving route is a plain Starlette one, in front
of the others. Path parameters arrive unchanged, as strings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope


class _Rest(Convertor[str]):
    """`{name:rest}`: an id that ends a path, whatever it contains.

    Slashes arrive decoded; Starlette's `path` stops at a newline.
    """

    regex = "(?s:.+)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("rest", _Rest())


class LeanRoute(APIRoute):
    """Mark a route whose endpoint returns a `Response`.

    The endpoint takes `request` and its path parameters, all of them strings.
    """


class _Plain(Route):
    """Report to the metrics which route answered, as FastAPI's routes do."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        if match is not Match.NONE:
            child["route"] = self
        return match, child


def plain(router: APIRouter) -> Iterator[Route]:
    """Yield routes that serve the router's lean ones. Nested routers are not searched."""
    for route in router.routes:
        if isinstance(route, LeanRoute):
            yield _Plain(
                route.path,
                _bound(route.endpoint),
                methods=sorted(route.methods or ()),
                include_in_schema=False,
            )


def _bound(endpoint: Callable[..., Any]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        response: Response = await endpoint(request, **request.path_params)
        return response

    return serve

"""Build the app: the frame is here, products declare the routes mounted on it.

A product's module exports `routers` and, if it needs resources of its own while the app runs,
`lifespan(context)`: an asynchronous context manager. With `panels` it adds to the live page, with
`bodies(settings)` it says how many bytes a POST to its paths may have where not the usual number.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from types import ModuleType
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Security
from fastapi.security import APIKeyHeader
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis import RedisError
from starlette.requests import Request
from starlette.responses import Response

from config.errors import UserError
from config.products import running
from config.settings import Settings
from serving.api import problems
from serving.api.context import Context, of
from serving.api.guard import Guard
from serving.api.keys import Keys
from serving.api.lean import plain
from serving.api.limiter import Limiter
from serving.api.metrics import Metrics
from serving.page import routes as live
from serving.page.page import Page

READY_WITHIN_S = 2.0
KEY = "one of MILLRACE_API_KEYS, else the one in secrets/api-key of the state folder"
_key = APIKeyHeader(name="X-API-Key", auto_error=False, description=KEY)  # checked by Guard


def modules(settings: Settings) -> list[ModuleType]:
    """Return the route modules of every product whose group is enabled."""
    return [product.load(name) for product in running(settings) for name in product.routes]


def create(context: Context, routes: Iterable[ModuleType] | None = None) -> FastAPI:
    """Return the app.

    Raise UserError if no API key is configured: an API open to all is never intended.
    """
    keys = Keys(context.settings.api_keys.get_secret_value().split(","))
    if not keys:
        raise UserError("no API key: set MILLRACE_API_KEYS to one or more keys, comma-separated")
    mounted = modules(context.settings) if routes is None else list(routes)
    metrics = Metrics()
    page = Page(context, metrics, mounted)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for module in mounted:
                if hasattr(module, "lifespan"):
                    await stack.enter_async_context(module.lifespan(context))
            await stack.enter_async_context(page.running())
            yield

    # FastAPI's own pages load their scripts from a CDN, and are blank if it cannot be reached.
    app = FastAPIOffline(
        title="Millrace",
        version="1",
        summary="Decisions from event streams",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.context, app.state.metrics, app.state.page = context, metrics, page
    problems.install(app)
    app.add_middleware(
        Guard,
        keys=keys,
        limiter=Limiter(context.settings.api_requests_per_second),
        max_body=context.settings.api_max_body_bytes,
        metrics=metrics,
        bodies=_bodies(context.settings, mounted),
    )
    refusals = problems.described(HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
    of_products = (router for module in mounted for router in module.routers)
    for router in (live.router, *of_products):
        app.include_router(router, dependencies=[Security(_key)], responses=refusals)
        app.router.routes[:0] = plain(router)
    app.include_router(_operations)
    app.include_router(live.open_router)
    return app


def _bodies(settings: Settings, mounted: Iterable[ModuleType]) -> dict[str, int]:
    """Return the limits of bodies, by path, that route modules set for themselves."""
    return {
        path: most
        for module in mounted
        if hasattr(module, "bodies")
        for path, most in module.bodies(settings).items()
    }


_operations = APIRouter(tags=["operations"])


@_operations.get("/healthz", summary="Is the process alive?")
async def healthz() -> dict[str, bool]:
    """Answer 200 as long as the process answers at all."""
    return {"alive": True}


@_operations.get(
    "/readyz",
    summary="Can it do its work? If not, what is missing?",
    responses={HTTPStatus.SERVICE_UNAVAILABLE: {"description": "No: what is missing, by name"}},
)
async def readyz(request: Request) -> Response:
    """Answer 200, or 503 with what is missing by name."""
    context = of(request)

    async def store() -> str | None:
        try:
            await context.values.ping()
        except RedisError as error:
            return f"does not answer: {type(error).__name__}: {error}"
        return None

    checks = {"redis": store, **context.checks}
    answers = await asyncio.gather(*(_within(check()) for check in checks.values()))
    missing = {name: answer for name, answer in zip(checks, answers, strict=True) if answer}
    status = HTTPStatus.SERVICE_UNAVAILABLE if missing else HTTPStatus.OK
    return Response(
        orjson.dumps({"ready": not missing, "missing": missing}),
        status,
        media_type="application/json",
    )


async def _within(check: Any) -> str | None:
    try:
        answer: str | None = await asyncio.wait_for(check, READY_WITHIN_S)
    except TimeoutError:
        return f"no answer within {READY_WITHIN_S:g} s"
    return answer


@_operations.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Request times, memory and garbage collections in Prometheus' format."""
    return Response(
        generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST
    )

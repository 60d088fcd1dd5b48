"""Answer every error as RFC 9457 `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import redis
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger(__name__)


class ProblemBody(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:millrace:problem:not-found",
                "title": "Not Found",
                "status": 404,
                "detail": "thing 42 is not known",
                "instance": "/v1/things/42",
            }
        }
    )

    type: str = Field(description="a stable name of the kind of error")
    title: str = Field(description="the status in words")
    status: int = Field(description="as in the status line")
    detail: str = Field(description="what exactly, for a person")
    instance: str = Field(description="the path that was asked")


class Problem(Exception):  # noqa: N818 - named as in the RFC
    """Answer with this status and detail. `headers` are added to the answer."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


def _body(status: int, detail: str, path: str) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    name = title.lower().replace(" ", "-")
    return {
        "type": f"urn:millrace:problem:{name}",
        "title": title,
        "status": int(status),
        "detail": detail,
        "instance": path,
    }


def response(
    status: int, detail: str, path: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """Return the response; `more` are further members of the body."""
    content = orjson.dumps({**_body(status, detail, path), **more})
    return Response(content, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def described(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entry of these errors."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        int(status): {
            "description": status.phrase,
            "model": ProblemBody,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def exemplified(status: HTTPStatus, detail: str, path: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entry of one error, with an example of its own."""
    entry = described(status)
    entry[int(status)]["content"][MEDIA_TYPE]["example"] = _body(status, detail, path)
    return entry


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class alone
    return response(error.status, error.detail, request.url.path, error.headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    return response(error.status_code, str(error.detail), request.url.path, error.headers)


def mistakes(error: RequestValidationError | ValidationError) -> list[dict[str, str]]:
    """Return what is wrong with a request, and where."""
    return [
        {"where": ".".join(str(part) for part in one["loc"]), "what": str(one["msg"])}
        for one in error.errors()
    ]


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    found = mistakes(error)
    detail = "; ".join(f"{one['where']}: {one['what']}" for one in found)
    return response(HTTPStatus.UNPROCESSABLE_ENTITY, detail, request.url.path, errors=found)


async def _store_away(request: Request, error: Exception) -> Response:
    log.warning("store away", error=f"{type(error).__name__}: {error}", path=request.url.path)
    return response(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the store is away, try again",
        request.url.path,
        {"Retry-After": "1"},
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected", exc_info=error, path=request.url.path)
    return response(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; it has been logged", request.url.path
    )


def truthful(page: dict[str, Any]) -> dict[str, Any]:
    """Return the OpenAPI page with errors as they are sent.

    FastAPI adds `application/json`, and a 422 of its own.
    """
    for operation in (operation for path in page["paths"].values() for operation in path.values()):
        for status, answer in list(operation["responses"].items()):
            content = answer.get("content", {})
            if MEDIA_TYPE in content:
                content.pop("application/json", None)
            elif status == "422":
                del operation["responses"][status]
    for name in ("HTTPValidationError", "ValidationError"):
        page.get("components", {}).get("schemas", {}).pop(name, None)
    return page


def install(app: FastAPI) -> None:
    """Register the handlers and describe them."""
    written = app.openapi
    app.openapi = lambda: truthful(written())  # type: ignore[method-assign]  # as FastAPI's manual extends it
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for away in (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError):
        app.add_exception_handler(away, _store_away)
    app.add_exception_handler(Exception, _unexpected)

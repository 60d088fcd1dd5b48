"""Ask the stack's own API, with a key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from config.errors import UserError
from config.settings import Settings
from millrace.stack import environ

TIMEOUT_S = 5.0


def url(settings: Settings, path: str) -> str:
    """Return the address of a path."""
    return f"http://{settings.host}:{settings.port('api')}{path}"


def get(settings: Settings, path: str) -> Any:
    """Return what the API answers, None if it knows of no such thing.

    Raise as `ask` does otherwise.
    """
    try:
        return ask(settings, path)
    except HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return None
        raise


def ask(
    settings: Settings,
    path: str,
    timeout_s: float = TIMEOUT_S,
    *,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
) -> Any:
    """Return what the API answers, None for an answer without content.

    Raise HTTPError if it refuses, URLError, OSError or ValueError if it does not answer.
    """
    headers = {"X-API-Key": environ.api_keys(settings).split(",")[0]}
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = Request(url(settings, path), data, headers, method=method)  # noqa: S310
    with urlopen(request, timeout=timeout_s) as answer:  # noqa: S310  (our own API)
        text = answer.read()
    return json.loads(text) if text else None


def answered(
    settings: Settings,
    path: str,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Any:
    """Return what the API answers. Raise UserError, in its words, where it refuses or is away."""
    try:
        return ask(settings, path, timeout_s, method=method, body=body)
    except HTTPError as error:
        raise UserError(f"the API refused: {_detail(error)}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise UserError(f"the API does not answer: {error}; is the stack up?") from None


def _detail(refusal: HTTPError) -> str:
    """Return why the API refused: the detail of its problem, else the status."""
    try:
        return str(json.load(refusal)["detail"])
    except (ValueError, KeyError, TypeError):
        return str(refusal.code)

"""Ask the stack's own API, with a key."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

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


def ask(settings: Settings, path: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Return what the API answers.

    Raise HTTPError if it refuses, URLError, OSError or ValueError if it does not answer.
    """
    key = environ.api_keys(settings).split(",")[0]
    request = Request(url(settings, path), headers={"X-API-Key": key})  # noqa: S310
    with urlopen(request, timeout=timeout_s) as answer:  # noqa: S310  (our own API)
        return json.load(answer)

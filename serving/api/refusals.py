"""Answer for an event that a gateway does not take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from ingestion.wire.codec import RefusedError
from serving.api.gateway import AwayError
from serving.api.problems import Problem


@contextmanager
def refusals() -> Iterator[None]:
    """Answer 503 where an event cannot be taken now, 422 where it breaks its contract."""
    try:
        yield
    except AwayError as error:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, f"not taken now: {error}", {"Retry-After": "1"}
        ) from error
    except RefusedError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error

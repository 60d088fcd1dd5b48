"""Call the Confluent-compatible registry API (v7), as Apicurio and Confluent serve it.

confluent-kafka's own client needs five more packages and hides the error codes that distinguish
"away" from "refused". API:
https://docs.confluent.io/platform/current/schema-registry/develop/api.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx

from config.errors import RetryableError, UserError, without_credentials
from config.retry import Backoff, retry

FULL_TRANSITIVE = "FULL_TRANSITIVE"
_CONTENT_TYPE = "application/vnd.schemaregistry.v1+json"
_AWAY = frozenset({408, 425, 429, 500, 502, 503, 504})


class UnknownSchemaError(UserError):
    """Raised when the registry itself says that it does not know this id, subject or version."""


class IncompatibleSchemaError(UserError):
    """Raised when the registry refuses a schema.

    Records written with it could not be read, or could not read older ones.
    """


def same(left: str, right: str) -> bool:
    """Return whether two schema texts are the same JSON, whatever their layout and order."""
    return bool(json.loads(left) == json.loads(right))


class Registry:
    """Look up, register and check schemas.

    Retry while the registry is away, then raise RetryableError.

    At most `attempts` calls are made, the pause doubling from `pause` seconds to two; `sleep` is
    passed in for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        attempts: int = 6,
        pause: float = 0.1,
        timeout: float = 5.0,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._name = without_credentials(self.url)
        self._client = httpx.Client(
            timeout=timeout, transport=transport, headers={"Content-Type": _CONTENT_TYPE}
        )
        self._backoff, self._sleep = Backoff(pause, 2.0, attempts), sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def schema(self, schema_id: int) -> str:
        """Return the schema text of an id. Raise UnknownSchemaError, RetryableError."""
        path = f"/schemas/ids/{schema_id}"
        return str(self._part(self._call("GET", path), "schema", path))

    def subjects(self) -> list[str]:
        """Return every subject, sorted."""
        return sorted(self._call("GET", "/subjects"))

    def versions(self, subject: str) -> list[int]:
        """Return the version numbers, ascending; empty for an unknown subject."""
        try:
            return sorted(self._call("GET", f"/subjects/{subject}/versions"))
        except UnknownSchemaError:
            return []

    def version(self, subject: str, version: int | str = "latest") -> tuple[int, str]:
        """Return the (id, schema text) of a version. Raise UnknownSchemaError."""
        path = f"/subjects/{subject}/versions/{version}"
        answer = self._call("GET", path)
        return int(self._part(answer, "id", path)), str(self._part(answer, "schema", path))

    def look_up(self, subject: str, schema: str) -> int | None:
        """Return the newest id under which the subject holds this schema (`same`), or None."""
        for number in reversed(self.versions(subject)):
            schema_id, text = self.version(subject, number)
            if same(text, schema):
                return schema_id
        return None

    def register(self, subject: str, schema: str) -> int:
        """Register a schema and return its id; an equal one is not registered again.

        Raise IncompatibleSchemaError if the subject's rule refuses it.
        """
        known = self.look_up(subject, schema)
        if known is not None:
            return known
        path = f"/subjects/{subject}/versions"
        return int(self._part(self._call("POST", path, {"schema": schema}), "id", path))

    def delete(self, subject: str) -> None:
        """Delete the subject with all its versions; an unknown one is none already."""
        with suppress(UnknownSchemaError):
            self._call("DELETE", f"/subjects/{subject}")

    def compatibility(self, subject: str) -> str | None:
        """Return the subject's own compatibility level, or None."""
        path = f"/config/{subject}"
        try:
            return str(self._part(self._call("GET", path), "compatibilityLevel", path))
        except UnknownSchemaError:
            return None

    def set_compatibility(self, subject: str, level: str = FULL_TRANSITIVE) -> None:
        """Set the subject's compatibility level."""
        self._call("PUT", f"/config/{subject}", {"compatibility": level})

    def check(self, subject: str, schema: str) -> str | None:
        """Return why the subject would refuse this schema, or None if it would accept it."""
        if not self.versions(subject):
            return None
        path = f"/compatibility/subjects/{subject}/versions?verbose=true"
        answer = self._call("POST", path, {"schema": schema})
        if answer["is_compatible"]:
            return None
        return str(answer.get("reason") or answer.get("messages") or "incompatible")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        def ask() -> httpx.Response:
            try:
                answer = self._client.request(method, self.url + path, json=body)
            except httpx.InvalidURL as error:
                raise UserError(f"schema registry {self._name} is not a URL: {error}") from error
            except httpx.RequestError as error:
                raise self._silent(str(error) or type(error).__name__) from error
            if answer.status_code in _AWAY:
                raise self._silent(f"{answer.status_code} {_message(answer)}")
            return answer

        answer = retry(
            ask, self._backoff.pauses, lambda pause, _: self._sleep(pause), RetryableError
        )
        return self._body(answer, method, path)

    def _body(self, answer: httpx.Response, method: str, path: str) -> Any:
        body = _json(answer)
        code = body.get("error_code") if isinstance(body, dict) else None
        if answer.status_code == 404 and isinstance(code, int) and code // 100 == 404:
            raise UnknownSchemaError(f"schema registry knows no {path}: {_message(answer)}")
        if answer.status_code in (409, 422) and method != "GET":
            raise IncompatibleSchemaError(f"schema registry refused {path}: {_message(answer)}")
        if answer.is_error or body is None:
            raise self._away(
                f"answered {answer.status_code} to {method} {path}: {_message(answer)}"
            )
        return body

    def _part(self, body: Any, name: str, path: str) -> Any:
        if not isinstance(body, dict) or name not in body:
            raise self._away(f"answered {path} without {name}: is that the registry?")
        return body[name]

    def _silent(self, trouble: str) -> RetryableError:
        return RetryableError(f"schema registry {self._name} does not answer: {trouble}")

    def _away(self, what: str) -> RetryableError:
        """Return the error of a registry that gave no verdict on a record.

        A proxy, a wrong path or missing rights answer like this for every record.
        """
        return RetryableError(f"schema registry {self._name} {what}")


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _message(answer: httpx.Response) -> str:
    body = _json(answer)
    return str(body.get("message", answer.text) if isinstance(body, dict) else answer.text)[:500]

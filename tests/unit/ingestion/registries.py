"""A schema registry in memory that answers HTTP as the real one does.

tests/integration/test_ingestion.py uses a real one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx

from ingestion.wire.registry import Registry


class FakeRegistry:
    """Ids by content, versions by subject.

    `trouble` answers before anything else, while it returns something.
    """

    def __init__(self) -> None:
        self.schemas: list[str] = []
        self.subjects: dict[str, list[int]] = {}
        self.levels: dict[str, str] = {}
        self.incompatible: set[str] = set()  # subjects that would take no other schema
        self.requests: list[tuple[str, str]] = []
        self.trouble: Callable[[httpx.Request], httpx.Response | None] = lambda request: None

    def client(self, **options: Any) -> Registry:
        """A client that talks to this registry and never sleeps."""
        options = {"sleep": lambda seconds: None, **options}
        return Registry("http://registry", transport=httpx.MockTransport(self._handle), **options)

    def add(self, subject: str, schema: str) -> int:
        if schema not in self.schemas:
            self.schemas.append(schema)
        schema_id = self.schemas.index(schema) + 1
        self.subjects.setdefault(subject, []).append(schema_id)
        return schema_id

    def _handle(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append((request.method, path))
        answer = self.trouble(request)
        if answer is not None:
            return answer
        body = json.loads(request.content) if request.content else {}
        if match := re.fullmatch(r"/schemas/ids/(\d+)", path):
            number = int(match[1])
            return (
                _found({"schema": self.schemas[number - 1]})
                if number <= len(self.schemas)
                else _missing()
            )
        if match := re.fullmatch(r"/config/(.+)", path):
            if request.method == "PUT":
                self.levels[match[1]] = body["compatibility"]
                return _found(body)
            return (
                _found({"compatibilityLevel": self.levels[match[1]]})
                if match[1] in self.levels
                else _missing()
            )
        if path == "/subjects":
            return _found(list(self.subjects))
        if match := re.fullmatch(r"/compatibility/subjects/([^/]+)/versions", path):
            return _found({"is_compatible": match[1] not in self.incompatible})
        return self._subject(request.method, path, body)

    def _subject(self, method: str, path: str, body: Any) -> httpx.Response:
        if match := re.fullmatch(r"/subjects/([^/]+)", path):
            ids = self.subjects.pop(match[1], None)
            return _found(list(range(1, len(ids) + 1))) if ids else _missing()
        if match := re.fullmatch(r"/subjects/([^/]+)/versions", path):
            if method == "POST":
                return _found({"id": self.add(match[1], body["schema"])})
            ids = self.subjects.get(match[1])
            return _found(list(range(1, len(ids) + 1))) if ids else _missing()
        if match := re.fullmatch(r"/subjects/([^/]+)/versions/(\d+)", path):
            schema_id = self.subjects[match[1]][int(match[2]) - 1]
            return _found({"id": schema_id, "schema": self.schemas[schema_id - 1]})
        return _missing()


def _found(body: Any) -> httpx.Response:
    return httpx.Response(200, json=body)


def _missing() -> httpx.Response:
    return httpx.Response(404, json={"error_code": 40401, "message": "not here"})

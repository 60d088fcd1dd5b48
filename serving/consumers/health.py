"""`/healthz`, `/readyz` and `/metrics` of a consumer, on a thread beside its loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

STALLED_AFTER_S = 60.0


class Health:
    """What the loop last said of itself. Written by the loop, read by the server's thread.

    `missing` is what keeps it from being ready: parts that are away. `waiting` is what a person has
    to bring, a model for instance: the process is in order, its records wait in Kafka meanwhile.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._beat = clock()
        self.missing: dict[str, str] = {"start": "the consumer has not started yet"}
        self.waiting: dict[str, str] = {}

    def beat(self) -> None:
        """The loop turned."""
        self._beat = self._clock()

    def alive(self) -> bool:
        """Whether the loop turned within the last minute."""
        return self._clock() - self._beat < STALLED_AFTER_S


def serve(host: str, port: int, health: Health, registry: CollectorRegistry) -> ThreadingHTTPServer:
    """Serve until `shutdown()`. Raises OSError when the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = _answer(self.path, health, registry)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silence: these are asked every few seconds."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _answer(path: str, health: Health, registry: CollectorRegistry) -> tuple[int, str, bytes]:
    if path == "/metrics":
        return HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)
    if path == "/healthz":
        alive = health.alive()
        return (_status(alive), "application/json", orjson.dumps({"alive": alive}))
    if path == "/readyz":
        missing = dict(health.missing)
        return (
            _status(not missing),
            "application/json",
            orjson.dumps(
                {"ready": not missing, "missing": missing, "waiting": dict(health.waiting)}
            ),
        )
    return (
        HTTPStatus.NOT_FOUND,
        "application/json",
        b'{"detail":"know /healthz, /readyz, /metrics"}',
    )


def _status(fine: bool) -> int:
    return HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE

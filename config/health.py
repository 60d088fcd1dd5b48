"""Serve `/healthz`, `/readyz` and `/metrics` of a process, on a thread beside its work."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# As long a stopping process may wait for this server; the library's half second is felt.
_POLL_S = 0.05
_UNKNOWN = b'{"detail":"know /healthz, /readyz, /metrics"}'


class Reporter(Protocol):
    """A process's report of itself, called from the server's threads."""

    @property
    def missing(self) -> dict[str, str]:
        """Return what keeps it from working, by part, in words for a person."""
        ...

    @property
    def waiting(self) -> dict[str, str]:
        """Return what a healthy process waits for, such as a first model."""
        ...

    def alive(self) -> bool:
        """Return whether the process still makes progress; if not, it is best restarted."""
        ...


def serve(
    host: str, port: int, reporter: Reporter, metrics: Callable[[], bytes]
) -> ThreadingHTTPServer:
    """Serve until `shutdown()`; `metrics` returns Prometheus' text. Raise OSError for a taken port.

    `/readyz` answers 200 when nothing is missing, else 503; `/healthz` 200 while it is alive.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = _answer(self.path, reporter, metrics)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent: these paths are requested every few seconds."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(
        target=server.serve_forever, args=(_POLL_S,), name="health", daemon=True
    ).start()
    return server


def _answer(
    path: str, reporter: Reporter, metrics: Callable[[], bytes]
) -> tuple[HTTPStatus, str, bytes]:
    if path == "/metrics":
        return HTTPStatus.OK, METRICS_TYPE, metrics()
    if path == "/healthz":
        alive = reporter.alive()
        return _status(alive), "application/json", json.dumps({"alive": alive}).encode()
    if path == "/readyz":
        missing, waiting = dict(reporter.missing), dict(reporter.waiting)
        page = {"ready": not missing, "missing": missing, "waiting": waiting}
        return _status(not missing), "application/json", json.dumps(page).encode()
    return HTTPStatus.NOT_FOUND, "application/json", _UNKNOWN


def _status(fine: bool) -> HTTPStatus:
    return HTTPStatus.OK if fine else HTTPStatus.SERVICE_UNAVAILABLE

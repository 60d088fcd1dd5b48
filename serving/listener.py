"""Configure the HTTP server of a process."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp

STUCK_MS = 30_000
"""A connection whose other end takes nothing of what was sent to it for this long is ended."""


def listener(app: ASGIApp, host: str, port: int, **options: Any) -> uvicorn.Config:
    """Return how Uvicorn serves an application: fast, and without lines of its own in the log.

    `options` are further ones of Uvicorn's.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        **options,
    )


def bound(config: uvicorn.Config, stuck_ms: int = STUCK_MS) -> socket.socket:
    """Return the socket to serve on. Connections take its option with them.

    Without it the kernel asks a client that does not read for ever whether it would now, and an
    endless answer holds the connection and all that waits in it. Exit if the port is taken.
    """
    made = config.bind_socket()
    made.set_inheritable(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stuck_ms)
    return made

"""A client that does not read is let go."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from serving.listener import bound, listener

PIECE = b"x" * 65_536


@pytest.mark.anyio
async def test_a_client_that_never_reads_holds_no_connection() -> None:
    ended = asyncio.Event()

    async def endless(_: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(_gone(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        ended.set()

    config = listener(endless, "127.0.0.1", 0, lifespan="off")
    place, server = bound(config, stuck_ms=300), uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([place]))
    while not server.started:
        await asyncio.sleep(0.01)
    with socket.create_connection(place.getsockname()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(ended.wait(), 20)
        assert not server.server_state.connections
    server.should_exit = True
    await serving


async def _gone(receive: Receive) -> None:
    message: Any = {}
    while message.get("type") != "http.disconnect":
        message = await receive()

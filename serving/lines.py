"""Ask a process of ours: a line a question, a line an answer, in the order of the questions.

Between two of our processes HTTP would cost several times what most answers do: client and server
each build a request and a response of headers that nobody reads. Here many questions share a
connection, those that arrive together are answered together, and each side costs some microseconds.
Questions and answers hold no newline, as orjson's documents never do. The server trusts its
callers.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import structlog
import uvloop

from config.errors import UserError

Answer = Callable[[bytes], bytes]
LONGEST = 1 << 20
"""Bytes of a question; a connection that sends more without a newline is closed."""
MOST_WAITING = 2000
"""Questions without an answer yet; more are refused, as they would only wait longer."""
_GOOD, _FAILED, _END = b"+", b"-", b"\n"
log = structlog.get_logger(__name__)


class AwayError(Exception):
    """The other process does not answer, or not in time."""


class FailedError(Exception):
    """The other process failed at this question."""


class _Serving(asyncio.Protocol):
    """One connection of a server."""

    def __init__(self, answer: Answer, connections: set[asyncio.Transport]) -> None:
        self._answer, self._connections, self._rest = answer, connections, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self._transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        *questions, self._rest = (self._rest + data).split(_END)
        if questions:
            self._transport.write(b"".join([self._line(one) for one in questions]))
        if len(self._rest) > LONGEST:
            self._transport.close()

    def _line(self, question: bytes) -> bytes:
        try:
            return _GOOD + self._answer(question) + _END
        except Exception as error:
            log.exception("a question failed")
            return _FAILED + type(error).__name__.encode() + _END


class Server:
    """Answer from a thread of its own until the process ends, or `close`."""

    def __init__(self, answer: Answer, host: str, port: int) -> None:
        """Listen at once. Raise OSError if the port is taken."""
        self._answer = answer
        self._socket = socket.create_server((host, port))
        self.port = int(self._socket.getsockname()[1])
        self._connections: set[asyncio.Transport] = set()
        self._loop, self._closing = uvloop.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close the connections and end the thread."""
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await self._loop.create_server(self._serving, sock=self._socket)
        # An event, and not the loop's `stop`: that would be lost while the server is being made.
        await self._closing.wait()
        server.close()
        for one in list(self._connections):
            one.abort()
        await server.wait_closed()

    def _serving(self) -> _Serving:
        return _Serving(self._answer, self._connections)


class _Wire(asyncio.Protocol):
    """One connection of an `Asker`."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *answers, self._rest = (self._rest + data).split(_END)
        for answer in answers:
            future = self._waiting.popleft()
            if not future.done():  # else nobody waits any more
                future.set_result(answer)

    def connection_lost(self, _: Exception | None) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(AwayError("the connection broke"))

    @property
    def open(self) -> bool:
        return not self._transport.is_closing()

    def abort(self) -> None:
        self._transport.abort()

    def ask(self, question: bytes) -> asyncio.Future[bytes]:
        if len(self._waiting) >= MOST_WAITING:
            raise AwayError(f"{MOST_WAITING} questions wait")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._transport.write(question + _END)
        return future


class Asker:
    """Ask one server. Connect with the first question, and again after the connection broke."""

    def __init__(self, url: str, seconds: float = 2.0) -> None:
        """Take a URL such as tcp://127.0.0.1:19104; an answer may take `seconds`.

        Raise UserError for another form.
        """
        split = urlsplit(url)
        if split.hostname is None or split.port is None:
            raise UserError(f"{url} is not of the form tcp://HOST:PORT")
        self._host, self._port, self._seconds = split.hostname, split.port, seconds
        self._wire: _Wire | None = None
        self._connecting = asyncio.Lock()

    async def ask(self, question: bytes) -> bytes:
        """Return the answer. Raise AwayError, and FailedError if the question broke the server."""
        try:
            async with asyncio.timeout(self._seconds):
                wire = self._wire
                if wire is None or not wire.open:
                    wire = await self._connected()
                answer = await wire.ask(question)
        except (OSError, TimeoutError) as error:
            self.close()  # after such a silence nothing will come of the other questions either
            raise AwayError(str(error) or "no answer in time") from error
        if not answer.startswith(_GOOD):
            raise FailedError(answer[1:].decode())
        return answer[1:]

    def close(self) -> None:
        """Close the connection."""
        if self._wire is not None:
            self._wire.abort()
            self._wire = None

    async def _connected(self) -> _Wire:
        async with self._connecting:
            if self._wire is None or not self._wire.open:
                loop = asyncio.get_running_loop()
                _, self._wire = await loop.create_connection(_Wire, self._host, self._port)
            return self._wire

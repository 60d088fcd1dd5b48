"""Serve a real API on a real Redis in a thread, and open Debian's Chromium on it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest
import redis
import redis.asyncio
import uvicorn
from pydantic import SecretStr

from config.settings import Settings
from serving.alerts import acting
from serving.api.app import create
from serving.api.context import Context, RedisValues
from serving.api.gateway import Gateway
from serving.fraud import routes as payments
from serving.fraud.routes import Submissions
from serving.listener import listener
from serving.page.page import Page as Live
from serving.store.redis import RedisStore
from tests.unit.serving.api_parts import KEY, FakeGateway

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NOWHERE = 30_000
"""An offset of ports at which no stack runs: consumers are away."""
WITHIN_S = 60.0
"""Long: these tests run at low priority beside a whole stack."""


class Ends:
    """Ends of topics that grow by a hundred at each look."""

    def __init__(self, _: str, topics: Sequence[str]) -> None:
        self._ends = dict.fromkeys(sorted(topics), 0)

    def read(self) -> dict[str, int]:
        self._ends = {name: end + 100 for name, end in self._ends.items()}
        return self._ends


class Served:
    """An API that listens on a port of its own. `gateway` takes what it produces."""

    def __init__(self, client: redis.Redis, socket: str, mounted: Sequence[ModuleType]) -> None:
        self.store, self.gateway = RedisStore(client), FakeGateway()
        configured = Settings(api_keys=SecretStr(KEY["X-API-Key"]), port_offset=NOWHERE)
        values = RedisValues(redis.asyncio.Redis.from_url(f"unix://{socket}"))
        context = Context(configured, values, codec=cast("Any", None))
        gateway = cast("Gateway", self.gateway)
        context.parts |= {"fraud": Submissions(gateway, size=2), acting.PART: gateway}
        app = create(context, mounted)
        self.page: Live = app.state.page
        self._server = uvicorn.Server(listener(app, "127.0.0.1", 0, lifespan="on"))
        self._thread = threading.Thread(target=self._run)
        self._loop: asyncio.AbstractEventLoop

    def _run(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            await self._server.serve()

        asyncio.run(serve())

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + WITHIN_S
        while not self._server.started:
            assert time.monotonic() < deadline
            assert self._thread.is_alive()
            time.sleep(0.01)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a coroutine function in the API's loop."""
        return asyncio.run_coroutine_threadsafe(function(), self._loop).result(WITHIN_S)

    def cut(self) -> None:
        """Break off every stream of the page."""

        async def end() -> None:
            for one in list(self.page.hub._listeners):
                one.end()

        self.call(end)

    def stop(self) -> None:
        self.call(self.page.hub.close)
        self._server.should_exit = True
        self._thread.join(WITHIN_S)


@contextmanager
def served(folder: Path, mounted: Sequence[ModuleType]) -> Iterator[Served]:
    """Serve these modules, whose Kafka is a fake; the page's hub ticks five times a second."""
    socket = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    with pytest.MonkeyPatch.context() as patch, redis.Redis(unix_socket_path=str(socket)) as client:
        patch.delattr(acting, "lifespan")
        patch.delattr(payments, "lifespan")
        patch.setattr("serving.page.page.Offsets", Ends)
        patch.setattr("serving.page.hub.EVERY_S", 0.2)
        try:
            while not socket.exists():
                assert process.poll() is None
                time.sleep(0.01)
            found = Served(client, str(socket), mounted)
            found.start()
            yield found
            found.stop()
        finally:
            process.terminate()
            process.wait()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Debian's Chromium; skip where it or Playwright is absent."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    driver = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """Open a page and give it the key; fail on what the browser complains of, the policy's too.

    Answers of an API that a test takes away are no complaint.
    """
    context = browser.new_context(**options)
    context.set_default_timeout(1000 * WITHIN_S)
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda one: told.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    try:
        page.goto(url)
        page.get_by_label("Key", exact=True).fill(KEY["X-API-Key"])
        page.keyboard.press("Enter")
        yield page
        assert [one for one in told if not one.startswith("Failed to load resource")] == []
    finally:
        context.close()

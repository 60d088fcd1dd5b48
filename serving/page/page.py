"""Put the page together: panels, assets, and the hub that serves all who look."""

from __future__ import annotations

import asyncio
import mimetypes
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Any

import httpx
import redis
import structlog

from serving.api.context import Context
from serving.api.metrics import Metrics
from serving.page.hub import Hub
from serving.page.offsets import Offsets
from serving.page.own import PROCESSES, STATIC, WAYS, processes_document, ways_document
from serving.page.panel import Document, Panel, Sheet, panels, sheets
from serving.page.prometheus import Latency, Rate
from serving.page.watch import TIMEOUT_S, Watch

log = structlog.get_logger(__name__)
_SCRIPTS = "panels"
_SHEETS = "sheets"
_HERE = ' aria-current="page"'


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of the page, in memory."""

    data: bytes
    media_type: str


class Page:
    """The live page of an app that mounts these modules."""

    def __init__(self, context: Context, metrics: Metrics, mounted: Iterable[ModuleType]) -> None:
        self._context, self._metrics = context, metrics
        modules = list(mounted)
        products = panels(modules)
        self.panels: tuple[Panel, ...] = tuple(
            sorted((WAYS, PROCESSES, *products), key=lambda one: one.place)
        )
        self._products = products
        self._ways = [way for panel in products for way in panel.ways]
        self._last: dict[str, Document] = {}
        self._requests, self._answers = Rate(), Latency()
        self.assets = dict(_assets(self.panels, sheets(modules)))
        self._watch: Watch | None = None
        self.hub = Hub(
            self.collect, {one.name: one.series for one in self.panels}, uuid.uuid4().hex[:8]
        )

    def layout(self) -> list[dict[str, Any]]:
        """Return the panels as the page sets them up."""
        return [
            {
                "name": one.name,
                "title": one.title,
                "script": f"/page/{_SCRIPTS}/{one.name}.js",
                "wide": one.wide,
            }
            for one in self.panels
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold what the collecting needs; nothing is asked while nobody looks."""
        context = self._context
        topics = {step.name for way in self._ways for step in way.steps if step.kind == "topic"}
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            self._watch = Watch(
                context.settings,
                context.values,
                Offsets(context.settings.kafka_bootstrap, topics),
                client,
                time.time,
            )
            try:
                yield
            finally:
                await self.hub.close()

    async def collect(self) -> dict[str, Document]:
        """Return every panel's document as it is now."""
        assert self._watch is not None  # noqa: S101 - collected only while running
        sample, documents = await asyncio.gather(
            self._watch.sample(),
            asyncio.gather(*(self._collected(one) for one in self._products)),
        )
        found = {
            panel.name: document for panel, document in zip(self._products, documents, strict=True)
        }
        found[WAYS.name] = ways_document(sample, self._ways, self._api(sample.moment))
        found[PROCESSES.name] = processes_document(sample)
        return found

    async def _collected(self, panel: Panel) -> Document:
        """Return a panel's document; if that fails, the last one with what went wrong."""
        try:
            async with asyncio.timeout(2 * TIMEOUT_S):
                document = await panel.collect(self._context)
        except (redis.RedisError, TimeoutError) as error:
            return {**self._last.get(panel.name, {}), "trouble": f"{type(error).__name__}: {error}"}
        except Exception as error:
            log.exception("a panel failed", panel=panel.name)
            return {**self._last.get(panel.name, {}), "trouble": f"{type(error).__name__}: {error}"}
        self._last[panel.name] = document
        return document

    def _api(self, moment: float) -> Document:
        count, buckets = self._metrics.answered()
        rate = self._requests.add(moment, count)
        _, p99 = self._answers.add(moment, buckets)
        return {
            "rate": None if rate is None else round(rate, 1),
            "p99": None if p99 is None else round(p99 * 1000, 1),
        }


def _assets(shown: Sequence[Panel], own: Sequence[Sheet]) -> Iterable[tuple[str, Asset]]:
    """Yield the page's files, and the pages of products, by their path below /page/."""
    for path in sorted(STATIC.rglob("*")):
        if path.is_file() and path.suffix != ".html":
            yield path.relative_to(STATIC).as_posix(), _asset(path)
    for panel in shown:
        yield f"{_SCRIPTS}/{panel.name}.js", _asset(panel.script)
    for sheet in own:
        yield f"{_SHEETS}/{sheet.name}.js", _asset(sheet.script)
    shell = Template((STATIC / "shell.html").read_text())
    places = {"/": ("Live", "index.html", "/page/page.js")} | {
        f"/page/{one.name}": (one.title, one.name, f"/page/{_SHEETS}/{one.name}.js") for one in own
    }
    links = {where: escape(title) for where, (title, _, _) in places.items()}
    for here, (title, name, script) in places.items():
        nav = "".join(
            f'<a href="{where}"{_HERE if where == here else ""}>{text}</a>'
            for where, text in links.items()
        )
        page = shell.substitute(title=escape(title), script=script, nav=nav)
        yield name, Asset(page.encode(), "text/html")


def _asset(path: Path) -> Asset:
    kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
    return Asset(path.read_bytes(), kind or "text/plain")

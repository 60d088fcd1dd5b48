"""Declare what a product shows on the live page, and pages of its own.

A module among a product's `routes` exports `panels`. Each has a script beside that module, which
draws what `collect` returns; the page itself names no product. With `sheets` it exports pages.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from serving.api.context import Context

Document = dict[str, Any]
"""What a panel knows, by key, ready for JSON; a key that has changed is sent anew as a whole."""
Collect = Callable[[Context], Awaitable[Document]]


@dataclass(frozen=True, slots=True)
class Step:
    """One place on an event's way: its kind, and the name by which its figures are known."""

    kind: Literal["topic", "job", "consumer", "store"]
    name: str


@dataclass(frozen=True, slots=True)
class Way:
    """An event's way through the system: from a topic by jobs and consumers to a store."""

    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the page.

    `name` is that of the element. `script` is a module of JavaScript whose default export draws the
    panel. `series` names keys of the document whose values are points in time, which whoever comes
    later gets, too. Panels are in the order of `place`; `wide` ones take the whole row.
    """

    name: str
    title: str
    script: Path
    collect: Collect
    series: frozenset[str] = frozenset()
    ways: tuple[Way, ...] = ()
    place: int = 50
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of a product's own at `/page/NAME`, whose script fills the element `main`."""

    name: str
    title: str
    script: Path


def every(seconds: float, collect: Collect, clock: Callable[[], float] = time.monotonic) -> Collect:
    """Return a `Collect` that asks at most once in `seconds`, and repeats its answer until then."""
    last: tuple[Context, float, Document] | None = None

    async def seldom(context: Context) -> Document:
        nonlocal last
        if last is None or last[0] is not context or clock() - last[1] >= seconds:
            last = context, clock(), await collect(context)
        return last[2]

    return seldom


def panels(modules: Iterable[ModuleType]) -> tuple[Panel, ...]:
    """Return the panels of these modules in the order of the page."""
    found = [one for module in modules for one in getattr(module, "panels", ())]
    return tuple(sorted(found, key=lambda one: one.place))


def sheets(modules: Iterable[ModuleType]) -> tuple[Sheet, ...]:
    """Return the pages that these modules bring, in their order."""
    return tuple(one for module in modules for one in getattr(module, "sheets", ()))


def way(title: str, text: str) -> Way:
    """Return a way written as `topic:clicks job:count topic:counts consumer:shop store:Redis`."""
    pairs = (one.split(":", 1) for one in text.split())
    return Way(title, tuple(Step(kind, name) for kind, name in pairs))  # type: ignore[arg-type]

"""Tell all who look at the page the same, once a second, from one collection.

The hub collects only while somebody listens. It sends each what has changed, numbered, so that
whoever comes back with the number of the last frame gets those that were missed, or the whole if
they are no longer kept. A listener whose queue is full is dropped: it comes back by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Set
from typing import Any

import orjson
import structlog

Document = dict[str, Any]
Collect = Callable[[], Awaitable[dict[str, Document]]]

EVERY_S = 1.0
POINTS = 300
"""Points of a series that are kept for whoever comes later: five minutes."""
FRAMES = 120
"""Frames that are kept for whoever comes back."""
WAITING = 20
"""Frames that a listener may leave unread; one more, and it is dropped."""
BEAT = b": still here\n\n"
log = structlog.get_logger(__name__)


class Listener:
    """Whoever reads the hub's frames."""

    def __init__(self, most: int) -> None:
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue(most + 1)
        self.most, self.dropped, self.fresh = most, False, True

    def give(self, frame: bytes) -> bool:
        """Take a frame to be read; return False if too many are unread."""
        if self._frames.qsize() >= self.most:
            return False
        self._frames.put_nowait(frame)
        return True

    def end(self) -> None:
        """End the reading after what is unread; if there is too much of it, at once."""
        while self._frames.full():
            self._frames.get_nowait()
        self._frames.put_nowait(None)

    async def next(self) -> bytes | None:
        """Return the next frame, or None at the end."""
        return None if self.dropped else await self._frames.get()


class Hub:
    """Collect, compare, and send to all listeners.

    `collect` returns a document for each panel; `series` names, by panel, the keys of points.
    `life` sets this hub's numbers apart from those of another process.
    """

    def __init__(
        self,
        collect: Collect,
        series: Mapping[str, Set[str]],
        life: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        waiting: int = WAITING,
        frames: int = FRAMES,
        points: int = POINTS,
    ) -> None:
        self._collect, self._life, self._sleep, self._waiting = collect, life, sleep, waiting
        self._state: dict[str, Document] = {}
        self._points: dict[str, dict[str, deque[Any]]] = {
            panel: {key: deque(maxlen=points) for key in keys} for panel, keys in series.items()
        }
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=frames)
        self._number = 0
        self._listeners: set[Listener] = set()
        self._work: asyncio.Task[None] | None = None
        self.dropped = 0
        """Listeners that were dropped for reading too slowly."""

    @property
    def listeners(self) -> int:
        """Return how many listen now."""
        return len(self._listeners)

    async def listen(self, last: str | None = None) -> AsyncIterator[bytes]:
        """Yield frames: first what was missed since the frame `last`, or the whole."""
        listener = Listener(self._waiting)
        for frame in self._beginning(last):
            listener.fresh = False
            listener.give(frame)
        self._listeners.add(listener)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())
        try:
            while (read := await listener.next()) is not None:
                yield read
        finally:
            self._listeners.discard(listener)

    async def close(self) -> None:
        """End all listening and the collecting."""
        for one in list(self._listeners):
            one.end()
        self._listeners.clear()
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
            self._work = None

    async def tick(self) -> None:
        """Collect once and send what has changed."""
        found = await self._collect()
        changed = _changes(self._state, found)
        self._state = found
        if changed:
            self._number += 1
            self._keep_points(changed)
            frame = self._frame("frame", {"panels": changed})
            self._kept.append((self._number, frame))
        else:
            frame = BEAT
        whole = b""
        for one in list(self._listeners):
            if one.fresh and not whole:
                whole = self._whole()
            if not one.give(whole if one.fresh else frame):
                self._drop(one)
            one.fresh = False

    async def _run(self) -> None:
        """Tick until nobody has listened for a whole round."""
        while self._listeners:
            try:
                await self.tick()
            except Exception:
                log.exception("a collection for the page failed")
            await self._sleep(EVERY_S)

    def _drop(self, listener: Listener) -> None:
        listener.dropped = True
        listener.end()
        self._listeners.discard(listener)
        self.dropped += 1

    def _beginning(self, last: str | None) -> list[bytes]:
        """Return the frames since `last`, or the whole; nothing before the first collection."""
        if not self._number:
            return []
        number = self._seen(last)
        oldest = self._kept[0][0] if self._kept else self._number + 1
        missed = [frame for other, frame in self._kept if number is not None and other > number]
        if number is None or number + 1 < oldest or len(missed) >= self._waiting:
            return [self._whole()]
        return missed or [BEAT]

    def _seen(self, last: str | None) -> int | None:
        """Return the number of this hub's frame `last`, or None for one that it never sent."""
        life, _, text = (last or "").rpartition("-")
        if life != self._life or not text.isdigit() or int(text) > self._number:
            return None
        return int(text)

    def _keep_points(self, changed: Mapping[str, Document]) -> None:
        for panel, series in self._points.items():
            for key, points in series.items():
                point = changed.get(panel, {}).get(key)
                if point is not None:
                    points.append(point)

    def _whole(self) -> bytes:
        points = {
            panel: {key: list(kept) for key, kept in series.items()}
            for panel, series in self._points.items()
        }
        return self._frame("whole", {"panels": self._state, "points": points})

    def _frame(self, event: str, body: Document) -> bytes:
        return b"event: %b\nid: %b-%d\ndata: %b\n\n" % (
            event.encode(),
            self._life.encode(),
            self._number,
            orjson.dumps(body),
        )


def _changes(before: Mapping[str, Document], now: Mapping[str, Document]) -> dict[str, Document]:
    """Return by panel the keys whose values are new; a key that is gone has None."""
    found = {}
    for panel in before.keys() | now.keys():
        old, new = before.get(panel, {}), now.get(panel, {})
        changed = {key: value for key, value in new.items() if key not in old or old[key] != value}
        changed |= {key: None for key in old.keys() - new.keys() if old[key] is not None}
        if changed:
            found[panel] = changed
    return found

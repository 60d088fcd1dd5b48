"""One collection for all who look at the page: nothing is missed, and nobody is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from serving.page.hub import BEAT, Hub

Documents = dict[str, dict[str, Any]]


class World:
    """A hub over documents that a test sets, whose seconds a test lets pass."""

    def __init__(self, **bounds: Any) -> None:
        self.now: Documents = {"a": {"count": 0, "same": "x"}}
        self.collected = 0
        self.hub = Hub(self.collect, {"a": frozenset({"point"})}, "life", **bounds)

    async def collect(self) -> Documents:
        self.collected += 1
        return {name: dict(document) for name, document in self.now.items()}


def parsed(frame: bytes) -> tuple[str, str, Any]:
    event, number, data = frame.decode().rstrip("\n").split("\n")
    return event.removeprefix("event: "), number.removeprefix("id: "), orjson.loads(data[6:])


async def _frames(stream: AsyncIterator[bytes], count: int) -> list[tuple[str, str, Any]]:
    return [parsed(await anext(stream)) for _ in range(count)]


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[Hub], None]:
    """Let the hub's own task never run, so that a test alone ticks."""

    def still(hub: Hub) -> None:
        async def nothing() -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(hub, "_run", nothing)

    return still


@pytest.mark.anyio
async def test_all_get_the_whole_first_and_then_what_changes(
    no_sleep: Callable[[Hub], None],
) -> None:
    world = World()
    no_sleep(world.hub)
    streams = [world.hub.listen() for _ in range(3)]
    waiting = [asyncio.ensure_future(anext(one)) for one in streams]
    await asyncio.sleep(0)
    await world.hub.tick()
    first = [parsed(await one) for one in waiting]
    assert first == [("whole", "life-1", {"panels": world.now, "points": {"a": {"point": []}}})] * 3
    assert world.collected == 1

    world.now["a"] |= {"count": 1, "point": {"t": 1}}
    del world.now["a"]["same"]
    await world.hub.tick()
    changed = {"panels": {"a": {"count": 1, "point": {"t": 1}, "same": None}}}
    assert [parsed(await anext(one)) for one in streams] == [("frame", "life-2", changed)] * 3
    await world.hub.tick()
    assert [await anext(one) for one in streams] == [BEAT] * 3
    await world.hub.close()
    assert [one async for one in streams[0]] == []


@pytest.mark.anyio
async def test_who_comes_back_gets_what_was_missed(no_sleep: Callable[[Hub], None]) -> None:
    world = World(frames=3)
    no_sleep(world.hub)
    for count in range(1, 6):
        world.now["a"] |= {"count": count, "point": count}
        await world.hub.tick()
    missed = await _frames(world.hub.listen("life-3"), 2)
    assert [(number, body["panels"]["a"]["count"]) for _, number, body in missed] == [
        ("life-4", 4),
        ("life-5", 5),
    ]
    assert await anext(world.hub.listen("life-5")) == BEAT
    # What is no longer kept, of another process, of the future, or no number: the whole.
    for last in ("life-1", "other-4", "life-9", "life-x", "nonsense", None):
        ((event, number, body),) = await _frames(world.hub.listen(last), 1)
        assert (event, number, body["points"]["a"]["point"]) == ("whole", "life-5", [1, 2, 3, 4, 5])


@pytest.mark.anyio
async def test_who_reads_too_slowly_is_dropped_and_the_others_are_not(
    no_sleep: Callable[[Hub], None],
) -> None:
    world = World(waiting=2)
    no_sleep(world.hub)
    await world.hub.tick()
    slow, quick = world.hub.listen(), world.hub.listen()
    await anext(slow)
    await anext(quick)
    for count in range(1, 5):
        world.now["a"]["count"] = count
        await world.hub.tick()
        if count < 3:
            assert parsed(await anext(quick))[2]["panels"]["a"]["count"] == count
    assert world.hub.dropped == 1
    assert [one async for one in slow] == []
    assert [parsed(await anext(quick))[1] for _ in range(2)] == ["life-4", "life-5"]
    assert world.hub.listeners == 1


@pytest.mark.anyio
async def test_nothing_is_collected_while_nobody_listens() -> None:
    world, passed = World(), asyncio.Event()

    async def sleep(_: float) -> None:
        passed.set()
        await asyncio.sleep(0)

    hub = Hub(world.collect, {}, "life", sleep=sleep)
    await asyncio.sleep(0.01)
    assert world.collected == 0
    stream = hub.listen()
    assert parsed(await anext(stream))[0] == "whole"
    await stream.aclose()  # type: ignore[attr-defined]
    await passed.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    before = world.collected
    await asyncio.sleep(0.01)
    assert world.collected == before
    await hub.close()


@pytest.mark.anyio
async def test_a_collection_that_fails_is_made_again() -> None:
    failures = [RuntimeError("once")]

    async def collect() -> Documents:
        if failures:
            raise failures.pop()
        return {"a": {"count": 7}}

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    hub = Hub(collect, {}, "life", sleep=sleep)
    event, _, body = parsed(await anext(hub.listen()))
    assert (event, body["panels"]) == ("whole", {"a": {"count": 7}})
    await hub.close()

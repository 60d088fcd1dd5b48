"""Provide a product's routes with what they need from the app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import redis.asyncio
from starlette.requests import Request

from config.settings import Settings
from ingestion.wire.codec import Codec

AT_ONCE = 500
"""Members of an index that are looked up in one round trip."""
Check = Callable[[], Awaitable[str | None]]


class Values(Protocol):
    """The reading side of serving/store/.

    Every method raises redis.RedisError when the store is away.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the stored bytes of a key, or None."""
        ...

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        """Return the stored bytes of several keys, in one round trip."""
        ...

    async def newest(self, index: str, count: int) -> list[bytes]:
        """Return the `count` newest members of an index, newest first."""
        ...

    async def page(
        self, index: str, count: int, after: tuple[int, bytes] | None = None
    ) -> list[tuple[bytes, int]]:
        """Return the next `count` members of an index with their times (ms), newest first.

        `after` is where the page before ended: the time and the member.
        """
        ...

    async def ping(self) -> None:
        """Return if the store answers."""
        ...


async def first(
    look_up: Callable[[list[str]], Awaitable[list[dict[str, Any]]]],
    members: Sequence[bytes],
    limit: int,
) -> list[dict[str, Any]]:
    """Return the first `limit` documents that `look_up` finds of an index's members, in order.

    Members are looked up some hundred at a time, so that few are read where few are wanted.
    """
    found: list[dict[str, Any]] = []
    for start in range(0, len(members), AT_ONCE):
        found += await look_up([member.decode() for member in members[start : start + AT_ONCE]])
        if len(found) >= limit:
            break
    return found[:limit]


def _whole(score: Any) -> int:
    return int(float(score))


class RedisValues:
    """Values in a real Redis."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self._client: Any = client

    async def get(self, key: str) -> bytes | None:
        """Return the stored bytes of a key, or None."""
        return cast("bytes | None", await self._client.execute_command("HGET", key, "d"))

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        """Return the stored bytes of several keys, in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hget(key, "d")
        return list(await pipeline.execute())

    async def newest(self, index: str, count: int) -> list[bytes]:
        """Return the `count` newest members of an index, newest first."""
        return list(await self._client.zrevrange(index, 0, count - 1))

    async def page(
        self, index: str, count: int, after: tuple[int, bytes] | None = None
    ) -> list[tuple[bytes, int]]:
        """Return the next `count` members of an index with their times (ms), newest first.

        `after` is where the page before ended: the time and the member.
        """
        newest, start = "+inf" if after is None else after[0], 0
        page: list[tuple[bytes, int]] = []
        while len(page) < count:
            members = await self._client.zrevrangebyscore(
                index, newest, "-inf", start, count, withscores=True, score_cast_func=_whole
            )
            # Members of one time come in the order of their bytes, the greater first.
            page += [
                (member, when)
                for member, when in members
                if after is None or (when, member) < after
            ]
            if len(members) < count:
                break
            start += count
        return page[:count]

    async def ping(self) -> None:
        """Return if the store answers."""
        await self._client.ping()


@dataclass(slots=True)
class Context:
    """Resources shared by all routes.

    A product's `lifespan` may add to `checks` (asked by /readyz, by name) and to `parts`.
    """

    settings: Settings
    values: Values
    codec: Codec
    checks: dict[str, Check] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)


def of(request: Request) -> Context:
    """Return the context of the app that serves this request."""
    return cast("Context", request.app.state.context)

"""The API's reading side pages through an index of a real Redis as it does in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import redis
import redis.asyncio

from serving.api.context import RedisValues
from serving.store import Index, RedisStore, Write
from tests.unit.serving.api_parts import MemoryValues

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server"),
]


async def test_pages_are_those_of_the_memory(redis_server: redis.Redis, tmp_path: Path) -> None:
    index = Index("i", 100)
    times = [7, 7, 7, 7, 3, -5, 9, 9, 1_700_000_000_123]  # more of one time than fit on a page
    writes = [
        Write(f"k{place}", when, place, f"m{place}".encode(), index=index)
        for place, when in enumerate(times)
    ]
    memory = MemoryValues()
    memory.store.apply(writes)
    RedisStore(redis_server).apply(writes)
    client = redis.asyncio.Redis(unix_socket_path=str(tmp_path / "redis.sock"))
    for size in (1, 2, 3, 50):
        after, seen = None, []
        while page := await RedisValues(client).page("i", size, after):
            assert page == await memory.page("i", size, after)
            seen += page
            after = (page[-1][1], page[-1][0])
        assert seen == await memory.page("i", 50)
        assert len(seen) == len(times)
    await client.aclose()

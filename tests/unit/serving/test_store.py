from __future__ import annotations

import pytest
import redis

from config.errors import RetryableError
from serving.store import MemoryStore, RedisStore, parse_version
from tests.unit.serving.store_conformance import StoreConformance, payment


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


def test_redis_away_is_retryable() -> None:
    client = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2)
    store = RedisStore(client)
    with pytest.raises(RetryableError, match="Redis is away"):
        store.apply([payment("a", 1, 1, b"x")])
    with pytest.raises(RetryableError):
        store.ping()
    client.close()


@pytest.mark.parametrize("text", ["", "1", "1:2:3", "a:1"])
def test_version_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        parse_version(text)

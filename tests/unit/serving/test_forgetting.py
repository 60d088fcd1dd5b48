"""A customer's decisions leave a real Redis and its file; others' stay."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import redis

from serving.fraud import forgetting, keys
from serving.fraud.forgetting import forget
from serving.store import RedisStore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="there is no redis-server"),
]


def _decision(place: int, customer: str) -> dict[str, Any]:
    times = dict.fromkeys(keys.TIMES, 1_700_000_000_000 + place)
    return {
        "transaction_id": f"t{place}",
        "customer_id": customer,
        "sequence": place,
        "score": 0.5,
        **times,
    }


def test_a_customer_is_gone_with_every_decision(
    redis_server: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "_AT_ONCE", 7)
    gone, stays = "customer-17a9", "customer-17a"
    customers = [gone if place % 2 else stays for place in range(2 * keys.RECENT + 20)]
    store = RedisStore(redis_server)
    store.apply([keys.decision(_decision(at, one)) for at, one in enumerate(customers)])
    told = forget(redis_server, gone)
    assert told == {"keys": keys.RECENT + 10 + 2, "file_rewritten": True}
    left = {name.decode() for name in redis_server.scan_iter()}
    assert left == {
        *(keys.transaction(f"t{at}") for at, one in enumerate(customers) if one == stays),
        keys.latest(stays),
        keys.recent(stays),
    }
    for path in tmp_path.rglob("appendonly*/*"):
        assert gone.encode() not in path.read_bytes()
    assert forget(redis_server, gone)["keys"] == 0

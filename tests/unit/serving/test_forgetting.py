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


def test_cases_verdicts_and_places_in_the_queue_go_too(redis_server: redis.Redis) -> None:
    store = RedisStore(redis_server)
    for at, (customer, decision) in enumerate(
        [("gone", "review"), ("gone", "block"), ("stays", "review"), ("stays", "block")]
    ):
        record = {**_decision(at, customer), "decision": decision}
        verdict = {"transaction_id": f"t{at}", "event_time": at, "is_fraud": True, "note": ""}
        store.apply(
            [keys.decision(record), keys.suspect(record, {"amount": 1.0}), keys.judged(verdict, at)]
        )
    forget(redis_server, "gone")
    left = {name.decode() for name in redis_server.scan_iter()}
    assert left == {
        *(key(f"t{at}") for at in (2, 3) for key in (keys.transaction, keys.case, keys.verdict)),
        keys.latest("stays"),
        keys.recent("stays"),
        keys.REVIEWS,
        keys.BLOCKED,
    }
    assert redis_server.zrange(keys.REVIEWS, 0, -1) == [b"t2"]
    assert redis_server.zrange(keys.BLOCKED, 0, -1) == [b"t3"]

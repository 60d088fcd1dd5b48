"""A customer's decisions leave a real Redis and its file; others' stay."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
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


@pytest.fixture
def client(tmp_path: Path) -> Iterator[redis.Redis]:
    socket = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--dir", str(tmp_path)]
    command = ["redis-server", *options, "--appendonly", "yes", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    found = redis.Redis(unix_socket_path=str(socket))
    try:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield found
    finally:
        found.close()
        process.terminate()
        process.wait()


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
    client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "_AT_ONCE", 7)
    gone, stays = "customer-17a9", "customer-17a"
    customers = [gone if place % 2 else stays for place in range(2 * keys.RECENT + 20)]
    store = RedisStore(client)
    store.apply([keys.decision(_decision(at, one)) for at, one in enumerate(customers)])
    told = forget(client, gone)
    assert told == {"keys": keys.RECENT + 10 + 2, "file_rewritten": True}
    left = {name.decode() for name in client.scan_iter()}
    assert left == {
        *(keys.transaction(f"t{at}") for at, one in enumerate(customers) if one == stays),
        keys.latest(stays),
        keys.recent(stays),
    }
    for path in tmp_path.rglob("appendonly*/*"):
        assert gone.encode() not in path.read_bytes()
    assert forget(client, gone)["keys"] == 0

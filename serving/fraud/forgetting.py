"""Remove a customer's decisions from Redis, and from its file.

    python -m serving.fraud.forgetting CUSTOMER

prints what it removed, as JSON. Every decision is looked at, as the customer's own list has only
the newest ones.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
import redis

from config.settings import settings
from serving.fraud import keys

_AT_ONCE = 1000
_REWRITE_S = 60.0
_PAUSE_S = 0.1


def forget(
    client: Any,
    customer: str,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Remove what the store has of a customer; return the number of keys, and if the file is new.

    Redis only ever appends to its file, so that it holds what was removed until it is rewritten.
    """
    own = [keys.latest(customer), keys.recent(customer)]
    payments = [name.removeprefix(keys.transaction("")) for name in _decisions(client, customer)]
    of_payments = [
        key(name) for name in payments for key in (keys.transaction, keys.case, keys.verdict)
    ]
    removed = sum(int(client.unlink(*found)) for found in _grouped([*of_payments, *own]))
    for found in _grouped(payments):
        for index in (keys.REVIEWS, keys.BLOCKED):
            client.zrem(index, *found)
    return {"keys": removed, "file_rewritten": _rewritten(client, sleep, clock)}


def _decisions(client: Any, customer: str) -> Iterator[str]:
    """Yield the keys of decisions on the customer's payments."""
    pattern = keys.transaction("*")
    for names in _grouped(client.scan_iter(match=pattern, count=_AT_ONCE)):
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.hget(name, "d")
        for name, data in zip(names, pipeline.execute(), strict=True):
            if data is not None and orjson.loads(data).get("customer_id") == customer:
                yield name.decode() if isinstance(name, bytes) else name


def _grouped(found: Any) -> Iterator[Sequence[Any]]:
    group: list[Any] = []
    for one in found:
        group.append(one)
        if len(group) == _AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _rewritten(
    client: Any, sleep: Callable[[float], None], clock: Callable[[], float]
) -> bool | None:
    """Have Redis write its file anew; return whether it is done, None if Redis keeps none."""
    if client.info("persistence")["aof_enabled"] == 0:
        return None
    try:
        client.bgrewriteaof()
    except redis.ResponseError:
        return False  # one is under way, which may have begun before
    until = clock() + _REWRITE_S
    while clock() < until:
        told = client.info("persistence")
        if not told["aof_rewrite_in_progress"] and not told.get("aof_rewrite_scheduled"):
            return bool(told["aof_last_bgrewrite_status"] == "ok")
        sleep(_PAUSE_S)
    return False


def main() -> None:
    """Remove the customer that the command line names."""
    client = redis.Redis.from_url(settings().redis_url, socket_timeout=30)
    try:
        sys.stdout.write(json.dumps(forget(client, sys.argv[1])) + "\n")
    except redis.RedisError as error:
        sys.exit(f"Redis: {error}")


if __name__ == "__main__":
    main()

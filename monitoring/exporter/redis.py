"""Look at Redis by its own INFO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client.metrics_core import Metric
from redis import Redis

from config.instruments import family


def look(client: Redis) -> Sequence[Metric]:
    """Return the metrics. Raise RedisError if it does not answer."""
    info: Any = client.info("everything")
    keys = sum(facts["keys"] for name, facts in info.items() if name.startswith("db"))
    # Without a limit of its own it may take all that the machine has.
    limit = info["maxmemory"] or info["total_system_memory"]
    return [
        family(f"millrace_redis_{name}", value)
        for name, value in {
            "memory_used_bytes": info["used_memory"],
            "memory_limit_bytes": limit,
            "keys": keys,
            "clients": info["connected_clients"],
            "append_file_bytes": info.get("aof_current_size", 0),
            "uptime_seconds": info["uptime_in_seconds"],
            "commands_total": info["total_commands_processed"],
            "hits_total": info["keyspace_hits"],
            "misses_total": info["keyspace_misses"],
            "evicted_keys_total": info["evicted_keys"],
        }.items()
    ]

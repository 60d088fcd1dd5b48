"""Look at Redis by its own INFO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client.metrics_core import Metric
from redis import Redis

from monitoring.exporter.parts import counter, gauge


def look(client: Redis) -> Sequence[Metric]:
    """Return the metrics. Raise RedisError if it does not answer."""
    info: Any = client.info("everything")
    keys = sum(facts["keys"] for name, facts in info.items() if name.startswith("db"))
    # Without a limit of its own it may take all that the machine has.
    limit = info["maxmemory"] or info["total_system_memory"]
    return [
        gauge("millrace_redis_memory_used_bytes", "Memory that Redis uses.", info["used_memory"]),
        gauge(
            "millrace_redis_memory_limit_bytes",
            "Memory that it may use: maxmemory, else the machine's.",
            limit,
        ),
        gauge("millrace_redis_keys", "Keys that it holds.", keys),
        gauge("millrace_redis_clients", "Clients connected.", info["connected_clients"]),
        gauge(
            "millrace_redis_append_file_bytes",
            "Size of the append-only file.",
            info.get("aof_current_size", 0),
        ),
        gauge("millrace_redis_uptime_seconds", "Since its last start.", info["uptime_in_seconds"]),
        counter(
            "millrace_redis_commands_total", "Commands done.", info["total_commands_processed"]
        ),
        counter(
            "millrace_redis_hits_total", "Look-ups of keys that were there.", info["keyspace_hits"]
        ),
        counter(
            "millrace_redis_misses_total",
            "Look-ups of keys that were not.",
            info["keyspace_misses"],
        ),
        counter(
            "millrace_redis_evicted_keys_total", "Keys put out for others.", info["evicted_keys"]
        ),
    ]

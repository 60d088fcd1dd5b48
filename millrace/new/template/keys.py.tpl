"""Where the product's values are in the store, and what their documents hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from domain.times import document_of
from serving.store import Rule, Write

TIMES = ("@TIME@",)
"""Fields that are times: ms in a record, ISO 8601 in its document."""
KEPT_MS = 30 * 86_400_000


def latest(of: str) -> str:
    """Return the key of what is known of one @KEY@."""
    return f"@NAME@:latest:{of}"


def write(record: Mapping[str, Any], sequence: int) -> Write:
    """Return the write of a feature vector; the newest by event time, then by offset, stays."""
    return Write(
        key=latest(record["@KEY@"]),
        event_time=record["@TIME@"],
        sequence=sequence,
        data=orjson.dumps(document_of(record, TIMES)),
        rule=Rule.NEWEST,
        ttl_ms=KEPT_MS,
    )

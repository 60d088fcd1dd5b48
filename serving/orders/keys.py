"""Define the keys of order decisions in the store, and the content of their documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.times import document_of
from serving.store import Index, Write

LINES = 200
"""The most lines of an order that are kept together; the oldest leave."""
FLAGGED = "orders:flagged"
"""The index of the lines to review or blocked last, by time of the order; whole documents."""
FLAGGED_KEPT = 500
TIMES = ("event_time", "produced_at", "features_at", "scored_at")
"""Fields that are times: ms in an OrderScore, ISO 8601 in its document."""


def line(event_id: str) -> str:
    """Return the key of the decision on an order line."""
    return f"orders:line:{event_id}"


def order(order_id: str) -> str:
    """Return the index of an order's lines: their whole documents."""
    return f"orders:order:{order_id}"


def decision(record: Mapping[str, Any], ttl_ms: int | None = None) -> tuple[Write, ...]:
    """Return the writes of an OrderScore; the first decision on a line stays."""
    data = orjson.dumps(document_of(record, TIMES))

    def write(key: str, index: Index) -> Write:
        return Write(
            key=key,
            event_time=record["event_time"],
            sequence=record["sequence"],
            data=data,
            index=index,
            ttl_ms=ttl_ms,
        )

    name = line(record["event_id"])
    told = write(name, Index(order(record["order_id"]), LINES))
    if record["decision"] == "approve":
        return (told,)
    return told, write(f"{name}:flagged", Index(FLAGGED, FLAGGED_KEPT))

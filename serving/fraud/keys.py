"""Define the keys of card fraud's decisions in the store, and the content of their documents.

This is the only module that knows them: the consumer writes by it, routes and benchmarks read by
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.times import document_of
from serving.store import Index, Write

RECENT = 50
"""The number of decisions kept in a customer's list."""
TIMES = ("event_time", "produced_at", "features_at", "scored_at")
"""Fields that are times: ms in a FraudScore, ISO 8601 in its document."""


def transaction(transaction_id: str) -> str:
    """Return the key of the decision on a payment."""
    return f"fraud:tx:{transaction_id}"


def latest(customer_id: str) -> str:
    """Return the key of a customer's newest decision by event time."""
    return f"fraud:customer:{customer_id}"


def recent(customer_id: str) -> str:
    """Return the index of a customer's `RECENT` newest decisions, whole documents."""
    return f"fraud:recent:{customer_id}"


def decision(record: Mapping[str, Any], ttl_ms: int | None = None) -> Write:
    """Return the write of a FraudScore; the first decision on a payment stays."""
    customer = record["customer_id"]
    return Write(
        key=transaction(record["transaction_id"]),
        event_time=record["event_time"],
        sequence=record["sequence"],
        data=orjson.dumps(document_of(record, TIMES)),
        latest=latest(customer),
        index=Index(recent(customer), RECENT),
        ttl_ms=ttl_ms,
    )

"""Define the keys of card fraud in the store, and the content of their documents.

This is the only module that knows them: the consumers write by it, routes and benchmarks read by
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.times import document_of, iso
from serving.store import Index, Rule, Write

RECENT = 50
"""The number of decisions kept in a customer's list."""
BLOCKED = "fraud:blocked"
"""The index of the payments blocked last, by event time; a member is a transaction_id."""
BLOCKED_KEPT = 500
TIMES = ("event_time", "produced_at", "features_at", "scored_at")
"""Fields that are times: ms in a FraudScore, ISO 8601 in its document."""
REVIEWS = "fraud:reviews"
"""The index of the payments to review, by event time; a member is a transaction_id."""
QUEUE = 10_000
"""The number of payments kept for review; the oldest leave."""
_CASE = "fraud:case:"


def transaction(transaction_id: str) -> str:
    """Return the key of the decision on a payment."""
    return f"fraud:tx:{transaction_id}"


def latest(customer_id: str) -> str:
    """Return the key of a customer's newest decision by event time."""
    return f"fraud:customer:{customer_id}"


def recent(customer_id: str) -> str:
    """Return the index of a customer's `RECENT` newest decisions, whole documents."""
    return f"fraud:recent:{customer_id}"


def case(transaction_id: str) -> str:
    """Return the key of the features behind a review or block."""
    return _CASE + transaction_id


def verdict(transaction_id: str) -> str:
    """Return the key of the verdict on a payment."""
    return f"fraud:verdict:{transaction_id}"


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


def suspect(
    record: Mapping[str, Any], features: Mapping[str, Any], ttl_ms: int | None = None
) -> Write:
    """Return the write of the features behind a FraudScore that is not an approval.

    A payment to review enters the queue, another one those blocked. If an earlier decision stays,
    it enters all the same: readers hold it against the decision.
    """
    name, review = record["transaction_id"], record["decision"] == "review"
    queue = Index(REVIEWS, QUEUE, member=name, evict=_CASE)
    return Write(
        key=case(name),
        event_time=record["event_time"],
        sequence=record["sequence"],
        data=orjson.dumps(dict(features)),
        index=queue if review else Index(BLOCKED, BLOCKED_KEPT, member=name),
        ttl_ms=ttl_ms,
    )


def judged(record: Mapping[str, Any], offset: int, ttl_ms: int | None = None) -> Write:
    """Return the write of a FraudLabel; of two on a payment the later stays, as in the lake."""
    document = {
        "fraud": record["is_fraud"],
        "note": record["note"],
        "known_at": iso(record["event_time"]),
    }
    return Write(
        key=verdict(record["transaction_id"]),
        event_time=record["event_time"],
        sequence=offset,
        data=orjson.dumps(document),
        rule=Rule.NEWEST,
        ttl_ms=ttl_ms,
    )

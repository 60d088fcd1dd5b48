"""Define the keys of the inventory in the store, and the content of its documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.times import document_of
from serving.store import Index, Rule, Write

ITEMS = "inventory:items"
"""The index of the items kept, by where the log last told of them; a member is its item_id."""
KEEP = 500_000
TIMES = ("event_time", "produced_at")
"""Fields that are times: ms in a StockLevel, ISO 8601 in its document."""

_ITEM = "inventory:item:"


def item(item_id: str) -> str:
    """Return the key of what is known of an item."""
    return _ITEM + item_id


def stock(record: Mapping[str, Any]) -> Write:
    """Return the write of a StockLevel; of two the later in the log stays."""
    return Write(
        key=item(record["item_id"]),
        event_time=record["sequence"],
        sequence=0,
        data=orjson.dumps(document_of(record, TIMES)),
        rule=Rule.NEWEST,
        index=Index(ITEMS, KEEP, member=record["item_id"], evict=_ITEM),
    )

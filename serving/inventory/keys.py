"""Define the keys of the inventory in the store, and the content of its documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.inventory.features import TRADED
from domain.inventory.watch import Watched, alert_id
from serving.store import Index, Rule, Write

ITEMS = "inventory:items"
"""The index of the items kept, by where the log last told of them; a member is its item_id."""
WATCHED = "inventory:watched"
"""The index of the items that have, or had, an alert."""
KEEP = 500_000
_TILE_MS = 300_000
_ITEM = "inventory:item:"


def item(item_id: str) -> str:
    """Return the key of an item's newest StockLevel, with its open alerts."""
    return _ITEM + item_id


def demand(item_id: str) -> str:
    """Return the key of the StockLevel of an item's newest sale, whose demand counts."""
    return f"inventory:demand:{item_id}"


def count(item_id: str) -> str:
    """Return the key of an item's last count."""
    return f"inventory:count:{item_id}"


def watched(item_id: str) -> str:
    """Return the key of when an item's alerts last changed."""
    return f"inventory:watched:{item_id}"


def forecast(item_id: str) -> str:
    """Return the key of an item's newest DemandForecast."""
    return f"inventory:forecast:{item_id}"


def stock(record: Mapping[str, Any], open_alerts: Watched) -> Write:
    """Return the write of a StockLevel; of two the later in the log stays."""
    alerts = [
        {"kind": kind, "alert_id": alert_id(record, kind, one.sequence), "opened_at": one.at}
        for kind, one in open_alerts.items()
    ]
    return _newest(
        item(record["item_id"]),
        record,
        {**record, "alerts": alerts},
        index=Index(ITEMS, KEEP, member=record["item_id"], evict=_ITEM),
    )


def sales(record: Mapping[str, Any]) -> tuple[Write, ...]:
    """Return the write of what a sale knows of demand, none for another entry.

    Sales come out of order from several partitions: the one of the newest time stays, of those
    within the smallest window's tile the later in the log.
    """
    if record["kind"] not in TRADED or record["late"]:
        return ()
    return (
        Write(
            key=demand(record["item_id"]),
            event_time=record["event_time"] // _TILE_MS,
            sequence=record["sequence"],
            data=orjson.dumps(dict(record)),
            rule=Rule.NEWEST,
        ),
    )


def counted(record: Mapping[str, Any]) -> tuple[Write, ...]:
    """Return the write of a count, none for another entry."""
    if record["kind"] != "count" or record["late"]:
        return ()
    return (_newest(count(record["item_id"]), record, record),)


def changed(record: Mapping[str, Any]) -> Write:
    """Return the write that keeps an item among those that had an alert."""
    index = Index(WATCHED, KEEP, member=record["item_id"])
    return _newest(watched(record["item_id"]), record, {}, index=index)


def predicted(record: Mapping[str, Any]) -> Write:
    """Return the write of a DemandForecast; the one made last stays."""
    return Write(
        key=forecast(record["item_id"]),
        event_time=record["made_at"],
        sequence=0,
        data=orjson.dumps(dict(record)),
        rule=Rule.NEWEST,
    )


def _newest(
    key: str,
    record: Mapping[str, Any],
    document: Mapping[str, Any],
    index: Index | None = None,
) -> Write:
    return Write(
        key=key,
        event_time=record["sequence"],
        sequence=0,
        data=orjson.dumps(dict(document)),
        rule=Rule.NEWEST,
        index=index,
    )

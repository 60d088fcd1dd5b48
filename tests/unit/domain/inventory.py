"""Entries of the stock's log for tests, and the rows that the job makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from domain.events import StockEntry
from domain.features.graph import Place, Row
from domain.features.twin import Twin
from domain.inventory.features import GRAPH

HOUR, DAY = 3_600_000, 86_400_000
START = 1_760_000_000_000


def entry(kind: str, quantity: int = 0, at: int = START, **changes: Any) -> StockEntry:
    """Return an entry; named after all that it says, unless it gets a name."""
    name = changes.pop("entry_id", f"{kind}/{at}/{quantity}/{changes}")
    return StockEntry(
        **{
            "entry_id": name,
            "item_id": "a",
            "event_time": at,
            "kind": kind,
            "quantity": quantity,
            "produced_at": at + 5,
            **changes,
        }
    )


def levels(entries: Iterable[StockEntry]) -> list[Row]:
    """Return the StockLevel of each entry of a log, in its order; repeated ones have none."""
    twin = Twin(GRAPH)
    rows = (
        GRAPH.row("StockEntry", asdict(one), Place(0, offset, 0))
        for offset, one in enumerate(entries)
    )
    return [found for row in rows if (found := twin.process(row)) is not None]

"""Define the keys of the shop's windows in the store, and the content of their documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.shop.windows import DAY_MS, NAMES, WINDOWS
from domain.times import document_of, iso
from serving.store import Index, Rule, Write

KEEP_DAYS: Mapping[str, int] = {"1m": 7, "5m": 29, "1h": 92}
"""How many days are kept of each length of window, if every window has events."""
KEEP: Mapping[str, int] = {name: days * DAY_MS // WINDOWS[name] for name, days in KEEP_DAYS.items()}
TIMES = ("window_start", "window_end")
"""Fields that are times: ms in a BusinessMetrics, ISO 8601 in its document."""
_LISTED = ("items", "item_units", "item_gmv_minor")
_ELSEWHERE = frozenset((*_LISTED, "window_ms"))


def index(length: str) -> str:
    """Return the index of the windows kept of a length, by start; a member is `member(start)`."""
    return f"business:windows:{length}"


def member(start: int) -> str:
    """Return the name in its index of the window that starts at `start` (ms)."""
    return str(start)


def window(length: str, name: str) -> str:
    """Return the key of a window by its length and its name in the index."""
    return f"business:window:{length}:{name}"


def category(item: str) -> str:
    """Return the key of an item's category."""
    return f"business:category:{item}"


def version(record: Mapping[str, Any]) -> int:
    """Return what grows with each version of a window: its events and payments."""
    inputs: int = record["events"] + record["payments"]
    return inputs


def stored(record: Mapping[str, Any], correction: Mapping[str, Any] | None = None) -> Write:
    """Return the write of a BusinessMetrics; of two versions the one with more inputs stays."""
    length, start = NAMES[record["window_ms"]], record["window_start"]
    return Write(
        key=window(length, member(start)),
        event_time=start,
        sequence=version(record),
        data=orjson.dumps(document(record, correction)),
        rule=Rule.NEWEST,
        index=Index(index(length), KEEP[length], member=member(start), evict=window(length, "")),
    )


def document(
    record: Mapping[str, Any], correction: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the document of a BusinessMetrics: its fields, shares of them, and its correction."""
    figures = {
        name: value for name, value in document_of(record, TIMES).items() if name not in _ELSEWHERE
    }
    sold = zip(*(record[name] for name in _LISTED), strict=True)
    return {
        "window": NAMES[record["window_ms"]],
        **figures,
        "average_order_value": _share(record["gmv_minor"], record["orders"] * 100),
        "path_conversion": _share(record["purchased"], record["viewed"]),
        "session_conversion": _share(record["sessions_purchased"], record["sessions_viewed"]),
        "fraud_rate": _share(record["payments_blocked"], record["payments"]),
        "top_items": [
            {"item_id": item, "units": units, "gmv_minor": minor} for item, units, minor in sold
        ],
        **(correction or {"revision": 0, "corrected_at": None, "shown": None}),
    }


def correction(revision: int, at: int, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a document says of its corrections: how many, the last one, and what was told."""
    return {"revision": revision, "corrected_at": iso(at), "shown": dict(shown)}


def categorised(record: Mapping[str, Any], offset: int) -> Write:
    """Return the write of a ShopItem's category; the newest stays."""
    return Write(
        key=category(record["item_id"]),
        event_time=record["event_time"],
        sequence=offset,
        data=orjson.dumps(record["category"]),
        rule=Rule.NEWEST,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None

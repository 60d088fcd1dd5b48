"""Define the keys of the shop's minutes in the store, and the content of their documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from domain.times import document_of
from serving.store import Index, Rule, Write

WINDOWS = "business:windows"
"""The index of the minutes kept, by start; a member is `member(start)`."""
KEEP = 7 * 24 * 60
"""Minutes kept: a week, if every minute has events."""
TIMES = ("window_start", "window_end")
"""Fields that are times: ms in a BusinessMetrics, ISO 8601 in its document."""

_WINDOW = "business:window:"


def member(start: int) -> str:
    """Return the name in `WINDOWS` of the minute that starts at `start` (ms)."""
    return str(start)


def window(name: str) -> str:
    """Return the key of a minute by its name in `WINDOWS`."""
    return _WINDOW + name


def minute(record: Mapping[str, Any]) -> Write:
    """Return the write of a BusinessMetrics; of two versions the one with more events stays."""
    start = record["window_start"]
    return Write(
        key=window(member(start)),
        event_time=start,
        sequence=record["events"],
        data=orjson.dumps(document_of(record, TIMES)),
        rule=Rule.NEWEST,
        index=Index(WINDOWS, KEEP, member=member(start), evict=_WINDOW),
    )

"""Sessions with something to learn from: on a ring of items the next one mostly comes next."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

ITEMS = 60


def session(
    name: str, started: datetime, ended: datetime, items: list[str], **more: Any
) -> dict[str, Any]:
    """Return a record of `Session`."""
    return {
        "session_id": name,
        "user_id": f"visitor of {name}",
        "event_id": f"{name} at {ended}",
        "event_time": ended,
        "produced_at": ended,
        "started": started,
        "clicks": len(items),
        "items": items,
        "actions": ["view"] * len(items),
        "late": False,
        **more,
    }


def visits(count: int, begin: datetime, length: timedelta, seed: int = 1) -> list[dict[str, Any]]:
    """Return sessions of one record each, evenly over a time."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        at, items = rng.randrange(ITEMS), []
        for _ in range(rng.randrange(3, 8)):
            items.append(f"i{at}")
            at = (at + (1 if rng.random() < 0.8 else rng.randrange(ITEMS))) % ITEMS
        start = begin + number * length / count
        rows.append(session(f"{seed}-{number}", start, start, items))
    return rows

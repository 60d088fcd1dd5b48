"""Declare the shop's windows: their lengths, what is added up in them, and how amounts are rounded.

What each figure means is in docs/metrics.md. The kernel's `tally` computes what each event adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.shop.sessions import SESSIONS

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
WINDOWS: Mapping[str, int] = {"1m": MINUTE_MS, "5m": 5 * MINUTE_MS, "1h": HOUR_MS}
"""Lengths by name, in ms."""
NAMES: Mapping[int, str] = {length: name for name, length in WINDOWS.items()}
LATE_MS = MINUTE_MS
"""A window is closed once a minute that begins so long after its end, or later, has events."""
KEEP_IDLE_MS = 14 * DAY_MS
"""How long a visitor's hour stays in the state after its last event, by wall time."""
MOST = 1e12
"""A price or an amount above it counts as unknown, so that no sum overflows."""
STAGES = {"view": 1, "addtocart": 2, "transaction": 3}
DECISIONS = {"approve": 4, "review": 5, "block": 6}
FIGURES: Mapping[str, str] = {
    "orders": "orders",
    "gmv_minor": "gmv",
    "unpriced_lines": "unpriced",
    "active_visitors": "visitors",
    "buyers": "buyers",
    "events": "events",
    "viewed": "viewed",
    "carted": "carted",
    "purchased": "purchased",
    "sessions": "sessions",
    "sessions_viewed": "sessions_viewed",
    "sessions_carted": "sessions_carted",
    "sessions_purchased": "sessions_purchased",
    "payments": "payments",
    "payments_reviewed": "reviewed",
    "payments_blocked": "blocked",
    "paid_minor": "paid",
    "blocked_minor": "paid_blocked",
}
"""Fields of BusinessMetrics that are sums, and the column of `tally` (`add_…`) that each sums."""


def spec() -> dict[str, Any]:
    """Return the kernel's argument."""
    return {
        "version": 1,
        "windows": list(WINDOWS.values()),
        "gap_ms": SESSIONS.gap_ms,
        "keep_idle_ms": KEEP_IDLE_MS,
    }

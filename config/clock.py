"""Tell the time, for those who pass it on: pure logic is given it."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return the wall's time in whole milliseconds since 1970."""
    return time.time_ns() // 1_000_000

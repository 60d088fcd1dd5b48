"""Limit requests per second and key."""

from __future__ import annotations

import time
from collections.abc import Callable

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter


class Windows(Storage):
    """Counts in this process's memory, one window per key.

    The library's own MemoryStorage starts a thread to expire counts, at most every 10 ms: at 500
    requests a second that is every fifth request, and it costs more than the rest of a look-up.
    There are as many counts here as API keys, so none needs to be expired.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[str, tuple[int, float]] = {}  # count, end

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return the type of error that the storage may raise."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Count, in a new window of `expiry` seconds if the last has ended; return the count."""
        now = self._clock()
        count, end = self._windows.get(key, (0, 0.0))
        if now >= end:
            count, end = 0, now + expiry
        self._windows[key] = (count + amount, end)
        return count + amount

    def get(self, key: str) -> int:
        """Return the count of the current window."""
        count, end = self._windows.get(key, (0, 0.0))
        return count if self._clock() < end else 0

    def get_expiry(self, key: str) -> float:
        """Return when the window ends, in seconds of the clock."""
        return self._windows.get(key, (0, self._clock()))[1]

    def check(self) -> bool:
        """Return True: memory is always available."""
        return True

    def reset(self) -> int:
        """Forget all counts; return how many there were."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget the count of one key."""
        self._windows.pop(key, None)


class Limiter:
    """Limit requests by fixed windows of a second.

    `clock` must never step: a wall clock set back would hold a window open.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._item: RateLimitItem = RateLimitItemPerSecond(per_second)
        self._clock, self._storage = clock, Windows(clock)
        self._strategy = FixedWindowRateLimiter(self._storage)

    def wait(self, owner: str) -> float:
        """Count a request; return 0 if it may pass, else the seconds until the next may."""
        if self._strategy.hit(self._item, owner):
            return 0.0
        return max(
            0.001, self._strategy.get_window_stats(self._item, owner).reset_time - self._clock()
        )

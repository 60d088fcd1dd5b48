"""Keep a tile's state and compute a window's value from its tiles.

This is the table "Aggregates" of docs/rolling.md, row by row.

A state is what one lane keeps in one tile; `add` applies a row's value to it. A value function
takes the states of the covered tiles that have data, oldest first, and x, the current row's value
of the column (None if not finite). Every float operation is written in the order the page gives,
because the kernel must give the same bits.
"""

from __future__ import annotations

import math
import struct
from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

_MASK = (1 << 64) - 1


def hash64(data: bytes) -> int:
    """Return the unsigned 64-bit hash of the bytes: FNV-1a, then the finaliser of MurmurHash3.

    >>> f"{hash64(b'a'):016x}"
    '82a2a958a9bece5b'
    """
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & _MASK
    h ^= h >> 33
    h = (h * 0xFF51AFD7ED558CCD) & _MASK
    h ^= h >> 33
    h = (h * 0xC4CEB9FE1A85EC53) & _MASK
    return h ^ (h >> 33)


@lru_cache(maxsize=1 << 16)
def hash32(value: str | float) -> int:
    """Return the upper, unsigned half of the `hash64` of a value.

    A string is hashed as UTF-8, a number as the 8 big-endian bytes of its double.
    """
    return hash64(value.encode() if isinstance(value, str) else struct.pack(">d", value)) >> 32


def id_hash(identity: str, t: int) -> int:
    """Return the hash by which a repeated row is recognised.

    Hashes the id's UTF-8, then t (ms) as 8 big-endian bytes.
    """
    return hash64(identity.encode() + struct.pack(">q", t))


class Count:
    """The number of rows."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0

    def add(self, x: Any, t: int) -> None:
        """Apply a row."""
        self.n += 1


class Sum:
    """The number of rows and the running sum of their values, in order of arrival."""

    __slots__ = ("n", "total")

    def __init__(self) -> None:
        self.n, self.total = 0, 0.0

    def add(self, x: float, t: int) -> None:
        """Apply a row."""
        self.n += 1
        self.total += x


class Extreme:
    """The best value by `better`, which is `min` or `max`; NaN before the first."""

    __slots__ = ("better", "value")

    def __init__(self, better: Callable[[float, float], float]) -> None:
        self.better, self.value = better, math.nan

    def add(self, x: float, t: int) -> None:
        """Apply a row."""
        self.value = x if math.isnan(self.value) else self.better(self.value, x)


class Moments:
    """The mean and the sum of squared deviations by Welford's recurrence (1962)."""

    __slots__ = ("m2", "mean", "n")

    def __init__(self, n: int = 0, mean: float = 0.0, m2: float = 0.0) -> None:
        self.n, self.mean, self.m2 = n, mean, m2

    def add(self, x: float, t: int) -> None:
        """Apply a row."""
        self.n += 1
        d = x - self.mean
        self.mean += d / self.n
        self.m2 += d * (x - self.mean)

    def with_tile(self, tile: Moments) -> Moments:
        """Return the moments of both tiles together (Chan, Golub, LeVeque 1979)."""
        n, na, nb = self.n + tile.n, float(self.n), float(tile.n)
        d = tile.mean - self.mean
        mean = self.mean + d * (nb / n)
        return Moments(n, mean, (self.m2 + tile.m2) + (d * d) * (na * nb / n))


class Hashes:
    """The k smallest distinct hashes, sorted (Bar-Yossef et al. 2002)."""

    __slots__ = ("k", "kept")

    def __init__(self, k: int) -> None:
        self.k, self.kept = k, list[int]()

    def add(self, x: str | float, t: int) -> None:
        """Apply a row."""
        h = hash32(x)
        if h not in self.kept:
            insort(self.kept, h)
            del self.kept[self.k :]


class Last:
    """The time and value of the row with the greatest time; among equals, of the last to arrive."""

    __slots__ = ("t", "value")

    def __init__(self) -> None:
        self.t: int | None = None
        self.value: Any = None

    def add(self, x: Any, t: int) -> None:
        """Apply a row."""
        if self.t is None or t >= self.t:
            self.t, self.value = t, x


class Share:
    """The number of rows, and of those that meet the condition (x)."""

    __slots__ = ("met", "n")

    def __init__(self) -> None:
        self.n, self.met = 0, 0

    def add(self, x: bool, t: int) -> None:
        """Apply a row."""
        self.n += 1
        self.met += x


State = Count | Sum | Extreme | Moments | Hashes | Last | Share
Value = int | float | None


def filled(aggregate: str, *values: Any, k: int = 64, at: int = 0) -> Any:
    """Return the state of a tile with these values, a millisecond apart from `at` (ms) on.

    Raise KeyError for an unknown aggregate. The examples below use it.

    >>> filled("sum", 1.5, 2.0).total
    3.5
    """
    state = STATES[aggregate](k)
    for t, value in enumerate(values, at):
        state.add(value, t)
    return state


def _count(tiles: Sequence[Any], x: Any) -> int:
    """Return the number of rows, whatever their values.

    >>> VALUES["count"]([filled("count", 5.0, 5.0), filled("count", 7.0)], None)
    3
    """
    n = 0
    for tile in tiles:
        n += tile.n
    return n


def _sum(tiles: Sequence[Sum], x: Any) -> float:
    """Return the sum of the values, in the unit of the column; 0.0 without rows.

    >>> VALUES["sum"]([filled("sum", 1.5, 2.0), filled("sum", 4.0)], None)
    7.5
    """
    acc = 0.0
    for tile in tiles:  # not sum(): Python 3.12 and later compensate
        acc += tile.total
    return acc


def _mean(tiles: Sequence[Sum], x: Any) -> float | None:
    """Return the mean of the values, in the unit of the column; None without rows.

    >>> VALUES["mean"]([filled("mean", 1.0, 2.0), filled("mean", 6.0)], None)
    3.0
    """
    n = _count(tiles, x)
    return _sum(tiles, x) / n if n else None


def _ratio(tiles: Sequence[Sum], x: float | None) -> float | None:
    """Return x over the mean; None if x or the mean is missing, or the mean is zero.

    >>> VALUES["ratio"]([filled("ratio", 1.0, 2.0), filled("ratio", 6.0)], 6.0)
    2.0
    """
    mean = _mean(tiles, x)
    return x / mean if x is not None and mean is not None and mean != 0.0 else None


def _extreme(tiles: Sequence[Extreme], x: Any) -> float | None:
    """Return the best value of all tiles; None without rows.

    >>> VALUES["min"]([filled("min", 3.0, 1.0), filled("min", 2.0)], None)
    1.0
    >>> VALUES["max"]([filled("max", 3.0, 1.0), filled("max", 2.0)], None)
    3.0
    """
    if not tiles:
        return None
    value = tiles[0].value
    for tile in tiles:
        value = tile.better(value, tile.value)
    return value


def _moments(tiles: Sequence[Moments]) -> Moments:
    if not tiles:
        return Moments()
    acc = tiles[0]
    for tile in tiles[1:]:
        acc = acc.with_tile(tile)
    return acc


def _deviation(moments: Moments) -> float | None:
    if moments.n < 2:
        return None
    variance = moments.m2 / (moments.n - 1)
    return math.sqrt(variance) if variance >= 0.0 else math.nan  # negative or NaN after an overflow


def _std(tiles: Sequence[Moments], x: Any) -> float | None:
    """Return the sample standard deviation (n - 1); None below two rows, NaN after an overflow.

    >>> VALUES["std"]([filled("std", 1.0, 2.0), filled("std", 3.0)], None)
    1.0
    """
    return _deviation(_moments(tiles))


def _zscore(tiles: Sequence[Moments], x: float | None) -> float | None:
    """Return how many standard deviations x lies above the mean; None if undefined.

    >>> VALUES["zscore"]([filled("zscore", 1.0, 2.0), filled("zscore", 3.0)], 4.0)
    2.0
    """
    moments = _moments(tiles)
    std = _deviation(moments)
    return (x - moments.mean) / std if x is not None and std is not None and std != 0.0 else None


def _distinct(tiles: Sequence[Hashes], x: Any) -> int:
    """Return the number of distinct values: exact below k, estimated from the k-th hash above.

    >>> VALUES["distinct"]([filled("distinct", "a", "b"), filled("distinct", "b", "c")], None)
    3
    >>> VALUES["distinct"]([filled("distinct", *map(str, range(1000)), k=64)], None)
    1145
    """
    if not tiles:
        return 0
    k = tiles[0].k
    kept = sorted(set().union(*(tile.kept for tile in tiles)))
    if len(kept) < k:
        return len(kept)
    return math.floor((k - 1) * 4294967296.0 / (kept[k - 1] + 0.5) + 0.5)


def _share(tiles: Sequence[Share], x: Any) -> float | None:
    """Return the share of rows that meet the condition, 0 to 1; None without rows.

    >>> VALUES["share"]([filled("share", True, False), filled("share", True, True)], None)
    0.75
    """
    n = _count(tiles, x)
    met = 0
    for tile in tiles:
        met += tile.met
    return met / n if n else None


def last_seen(newest_first: Iterable[Last], t: int) -> Last | None:
    """Return the newest tile whose kept time is not after t, or None.

    `newest_first` are the covered tiles before the row is applied. `last` is the value of the tile
    found, `seconds_since` is t minus its time, in seconds.

    >>> tiles = [filled("last", 30.0, at=9_000), filled("last", 10.0, 20.0, at=4_000)]
    >>> seen = last_seen(tiles, 7_000)
    >>> seen.value, (7_000 - seen.t) / 1000
    (20.0, 2.999)
    >>> last_seen([filled("seconds_since", 10.0, at=4_000)], 3_999) is None
    True
    """
    return next((tile for tile in newest_first if tile.t is not None and tile.t <= t), None)


STATES: dict[str, Callable[[int], State]] = {
    "count": lambda k: Count(),
    "sum": lambda k: Sum(),
    "mean": lambda k: Sum(),
    "ratio": lambda k: Sum(),
    "min": lambda k: Extreme(min),
    "max": lambda k: Extreme(max),
    "std": lambda k: Moments(),
    "zscore": lambda k: Moments(),
    "distinct": Hashes,
    "last": lambda k: Last(),
    "seconds_since": lambda k: Last(),
    "share": lambda k: Share(),
}
"""The empty state of each aggregate's lane, given k."""

VALUES: dict[str, Callable[[Sequence[Any], Any], Value]] = {
    "count": _count,
    "sum": _sum,
    "mean": _mean,
    "min": _extreme,
    "max": _extreme,
    "std": _std,
    "zscore": _zscore,
    "ratio": _ratio,
    "distinct": _distinct,
    "share": _share,
}
"""Every aggregate except last and seconds_since, which read what preceded the row (`last_seen`)."""

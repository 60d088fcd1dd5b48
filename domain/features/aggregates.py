"""What a tile keeps and how a window's tiles become a value.

The table "Aggregates" of docs/rolling.md, row by row.

A state is what one lane keeps in one tile; `add` applies a row's value to it. A value function gets
the states of the covered tiles that have data, oldest first, and x, the current row's value of the
column (None if not finite). Every float operation here is written in the order the page gives, for
the kernel must give the same bits.
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
    """FNV-1a over the bytes, then the finaliser of MurmurHash3; unsigned."""
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
    """The upper half of the hash of a string's UTF-8 or a number's 8 big-endian bytes as a double.

    Unsigned.
    """
    return hash64(value.encode() if isinstance(value, str) else struct.pack(">d", value)) >> 32


def id_hash(identity: str, t: int) -> int:
    """What duplicates are recognised by: the id's UTF-8, then t as 8 big-endian bytes."""
    return hash64(identity.encode() + struct.pack(">q", t))


class Count:
    """Rows."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0

    def add(self, x: Any, t: int) -> None:
        """Apply a row."""
        self.n += 1


class Sum:
    """The running sum in order of arrival, and how many."""

    __slots__ = ("n", "total")

    def __init__(self) -> None:
        self.n, self.total = 0, 0.0

    def add(self, x: float, t: int) -> None:
        """Apply a row."""
        self.n += 1
        self.total += x


class Extreme:
    """The smallest or largest value, as `better` says."""

    __slots__ = ("better", "value")

    def __init__(self, better: Callable[[float, float], float]) -> None:
        self.better, self.value = better, math.nan

    def add(self, x: float, t: int) -> None:
        """Apply a row."""
        self.value = x if math.isnan(self.value) else self.better(self.value, x)


class Moments:
    """Mean and sum of squared deviations by Welford's recurrence (1962)."""

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
        """Both together (Chan, Golub, LeVeque 1979)."""
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
    """Time and value of the row with the greatest time; among equals the one that came last."""

    __slots__ = ("t", "value")

    def __init__(self) -> None:
        self.t: int | None = None
        self.value: Any = None

    def add(self, x: Any, t: int) -> None:
        """Apply a row."""
        if self.t is None or t >= self.t:
            self.t, self.value = t, x


class Share:
    """Rows, and those of them that meet the condition (x)."""

    __slots__ = ("met", "n")

    def __init__(self) -> None:
        self.n, self.met = 0, 0

    def add(self, x: bool, t: int) -> None:
        """Apply a row."""
        self.n += 1
        self.met += x


State = Count | Sum | Extreme | Moments | Hashes | Last | Share
Value = int | float | None


def _count(tiles: Sequence[Any], x: Any) -> int:
    n = 0
    for tile in tiles:
        n += tile.n
    return n


def _sum(tiles: Sequence[Sum], x: Any) -> float:
    acc = 0.0
    for tile in tiles:  # not sum(): newer Pythons compensate
        acc += tile.total
    return acc


def _mean(tiles: Sequence[Sum], x: Any) -> float | None:
    n = _count(tiles, x)
    return _sum(tiles, x) / n if n else None


def _ratio(tiles: Sequence[Sum], x: float | None) -> float | None:
    mean = _mean(tiles, x)
    return x / mean if x is not None and mean is not None and mean != 0.0 else None


def _extreme(tiles: Sequence[Extreme], x: Any) -> float | None:
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
    return _deviation(_moments(tiles))


def _zscore(tiles: Sequence[Moments], x: float | None) -> float | None:
    moments = _moments(tiles)
    std = _deviation(moments)
    return (x - moments.mean) / std if x is not None and std is not None and std != 0.0 else None


def _distinct(tiles: Sequence[Hashes], x: Any) -> int:
    if not tiles:
        return 0
    k = tiles[0].k
    kept = sorted(set().union(*(tile.kept for tile in tiles)))
    if len(kept) < k:
        return len(kept)
    return math.floor((k - 1) * 4294967296.0 / (kept[k - 1] + 0.5) + 0.5)


def _share(tiles: Sequence[Share], x: Any) -> float | None:
    n = _count(tiles, x)
    met = 0
    for tile in tiles:
        met += tile.met
    return met / n if n else None


def last_seen(newest_first: Iterable[Last], t: int) -> Last | None:
    """The first tile, from the newest down, whose kept time is not after t."""
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
"""What a lane of each aggregate keeps in a tile without data, given k."""

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

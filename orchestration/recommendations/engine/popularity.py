"""What is clicked most now, overall and by category: for visitors of whom nothing is known.

To order all items takes milliseconds. Whoever answers meanwhile does it in three steps, of which
the second needs no guard: `counts`, `Lists.of`, `take`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from orchestration.recommendations.engine.arrays import NONE, Bytes, Ints, Longs
from orchestration.recommendations.engine.index import Index

KEPT = 100
"""Items of each list."""
_STALE = 200
"""The lists are out of date after a two-hundredth of the clicks counted."""


class Counts(NamedTuple):
    """What the lists are made of, by item; a copy of the index's."""

    counted: int
    clicks: Ints
    hidden: Bytes
    tie: Longs
    category: Ints


class Lists(NamedTuple):
    """Items, the most clicked first: overall, and category by category, which begin at `first`."""

    counted: int
    overall: list[int]
    by_category: Ints
    first: Longs

    @classmethod
    def of(cls, counts: Counts) -> Lists:
        """Order the items. Equally clicked ones are ordered by a digest of their ids."""
        found = np.flatnonzero((counts.clicks > 0) & (counts.hidden == 0))
        order = np.lexsort((counts.tie[found], -counts.clicks[found]))
        found = found[order].astype(np.int32)
        category = counts.category[found]
        grouped = np.argsort(category, kind="stable")
        grouped = grouped[np.searchsorted(category[grouped], 0) :]  # those of none come first
        known = category[grouped]
        bounds = np.arange(int(known[-1]) + 2) if len(known) else np.zeros(1, np.int64)
        return cls(
            counts.counted,
            found[:KEPT].tolist(),
            found[grouped].astype(np.int32),
            np.searchsorted(known, bounds).astype(np.int64),
        )

    def top(self, category: int) -> list[int]:
        """Return the items of a category."""
        if not 0 <= category < len(self.first) - 1:
            return []
        first, end = self.first[category], self.first[category + 1]
        found: list[int] = self.by_category[first : min(end, first + KEPT)].tolist()
        return found


class Popularity:
    """Count clicks over the newest `Bounds.clicks`, and list the items that have most.

    With `itself`, a question makes the lists anew when they are out of date; else their owner does.
    """

    def __init__(self, index: Index, *, itself: bool = True) -> None:
        self._index, self._itself = index, itself
        self._ring = np.full(index.bounds.clicks, NONE, np.int32)
        self._owed: dict[int, int] = {}  # clicks taken back that the ring still holds
        self._counted = 0
        self._lists: Lists | None = None
        self._asked_anew = False

    def click(self, name: str, clicks: int = 1) -> None:
        """Count clicks, or take some back if there are fewer than none."""
        for _ in range(clicks):
            self._count(name)
        if clicks < 0 and (item := self._index.item(name)) >= 0:
            gone = min(-clicks, int(self._index.clicks[item]))
            self._index.clicks[item] -= gone
            if gone:
                self._owed[item] = self._owed.get(item, 0) + gone

    def _count(self, name: str) -> None:
        item = self._index.hold(name)
        if item < 0:
            return
        place = self._counted % len(self._ring)
        old = int(self._ring[place])
        self._ring[place] = item
        self._counted += 1
        self._index.clicks[item] += 1
        if old < 0:
            return
        if owed := self._owed.pop(old, 0):
            if owed > 1:
                self._owed[old] = owed - 1
        else:
            self._index.clicks[old] -= 1
        self._index.release(old)

    def top(self, category: str | None = None) -> list[int]:
        """Return up to `KEPT` items, the most clicked first; of one category, or of all."""
        lists = self._lists
        if lists is None or (self._itself and self.stale):
            lists = Lists.of(self.counts())
            self.take(lists)
        return lists.overall if category is None else lists.top(self._index.number(category))

    def count(self, item: int) -> int:
        """Return how often an item is among the clicks counted."""
        return int(self._index.clicks[item])

    def refresh(self) -> None:
        """Hold the lists for out of date."""
        self._asked_anew = True

    @property
    def stale(self) -> bool:
        """Return whether the lists are out of date."""
        if self._lists is None or self._asked_anew:
            return True
        return self._counted - self._lists.counted > min(self._counted, len(self._ring)) // _STALE

    def counts(self) -> Counts:
        """Return what the lists are made of now."""
        index = self._index
        self._asked_anew = False
        return Counts(
            self._counted,
            index.clicks[: index.numbers].copy(),
            index.hidden[: index.numbers].copy(),
            index.arrays.tie[: index.numbers].copy(),
            index.category[: index.numbers].copy(),
        )

    def take(self, lists: Lists) -> None:
        """Answer by these lists from now on."""
        self._lists = lists

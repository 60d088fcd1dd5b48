"""What is clicked most now, overall and by category: for visitors of whom nothing is known."""

from __future__ import annotations

import numpy as np

from orchestration.recommendations.engine.arrays import NONE
from orchestration.recommendations.engine.index import Index

KEPT = 100
"""Items of each list."""
_STALE = 200
"""A list is made anew after a two-hundredth of the clicks counted."""


class Popularity:
    """Count clicks over the newest `Bounds.clicks`, and list the items that have most."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._ring = np.full(index.bounds.clicks, NONE, np.int32)
        self._owed: dict[int, int] = {}  # clicks taken back that the ring still holds
        self._counted = 0
        self._listed = -1
        self._overall: list[int] = []
        self._by_category: dict[str, list[int]] = {}
        self._categories: dict[str, str] = {}

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

    def categorise(self, name: str, category: str | None) -> None:
        """Remember an item's category; None forgets it."""
        if category is None:
            self._categories.pop(name, None)
        elif name in self._categories or len(self._categories) < self._index.bounds.items:
            self._categories[name] = category

    def category(self, name: str) -> str | None:
        """Return an item's category, None if not known."""
        return self._categories.get(name)

    def top(self, category: str | None = None) -> list[int]:
        """Return up to `KEPT` items, the most clicked first; of one category, or of all."""
        self._refresh()
        return self._overall if category is None else self._by_category.get(category, [])

    def count(self, item: int) -> int:
        """Return how often an item is among the clicks counted."""
        return int(self._index.clicks[item])

    def refresh(self) -> None:
        """Make the lists anew at the next question."""
        self._listed = -1

    def _refresh(self) -> None:
        patience = min(self._counted, len(self._ring)) // _STALE
        if self._listed >= 0 and self._counted - self._listed <= patience:
            return
        self._listed = self._counted
        clicks, tie = self._index.clicks, self._index.arrays.tie
        found = np.flatnonzero((clicks > 0) & (self._index.hidden == 0))
        found = found[np.lexsort((tie[found], -clicks[found]))]
        self._overall = found[:KEPT].tolist()
        self._by_category = {}
        if self._categories:
            for item in found.tolist():
                category = self._categories.get(self._index.name(item))
                if category is None:
                    continue
                items = self._by_category.setdefault(category, [])
                if len(items) < KEPT:
                    items.append(item)

"""Keep the most recent sessions, found by their items, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from orchestration.recommendations.engine import arrays
from orchestration.recommendations.engine.arrays import NONE

ACTIONS = {"view": 0, "addtocart": 1, "transaction": 2}
"""What a click was; anything else counts as a view."""
BOUGHT = ACTIONS["transaction"]
_TEXT = 120
"""Bytes that an id takes in Python: its text, its place in a dict and in a list.

Of a session there are three (index, version, its only item), of an item two (number, category).
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much an index holds.

    `sessions`: the most recent ones; `length`: items of each, the newest; `items`: different ones,
    further ones are not indexed until others leave; `postings`: places for sessions of items, in
    all; `clicks`: the newest ones, by which popularity is counted.
    """

    sessions: int = 200_000
    length: int = 50
    items: int = 400_000
    postings: int = 2_000_000
    clicks: int = 200_000

    @property
    def arrays(self) -> int:
        """Return the bytes of all arrays, which are there from the beginning."""
        slots = self.sessions * (8 + 4 + 5 * self.length)  # key, length, items with actions
        slots += self.sessions * (8 + 1 + 4)  # the working memory of a query
        items = self.items * (4 * 4 + 8 + 4 + 1 + 4) + self.items * (2 * 8 + 2 + 4)
        return slots + items + 4 * self.postings + 4 * self.clicks

    @property
    def most(self) -> int:
        """Return the bytes that an index takes at most: its arrays, and the ids of what it holds.

        Ids are taken to have up to 40 characters.
        """
        return self.arrays + _TEXT * (3 * self.sessions + 2 * self.items)


class Index:
    """Sessions by id, items by id. `most` is how many sessions of an item are kept.

    Not for several threads at once.
    """

    def __init__(self, bounds: Bounds, most: int) -> None:
        self.bounds = bounds
        self.arrays = arrays.empty(
            bounds.sessions, bounds.length, bounds.items, bounds.postings, most
        )
        self.clicks = np.zeros(bounds.items, np.int32)
        """How often each item is among the newest clicks; `Popularity` counts."""
        self.hidden = np.zeros(bounds.items, np.int8)
        """1: never recommended (unavailable)."""
        self.category = np.full(bounds.items, NONE, np.int32)
        """The number of each item's category, -1 if it is not known."""
        self.refused = 0
        """Clicks on items for which there was no room."""
        self.sessions = 0
        self._slots: dict[str, int] = {}
        self._ids: list[str] = [""] * bounds.sessions
        self._next = 0
        self._items: dict[str, int] = {}
        self._names: list[str] = []
        self._unused: list[int] = []
        self._unavailable: set[str] = set()
        self._categories: dict[str, str] = {}
        self._category_numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._items)

    @property
    def numbers(self) -> int:
        """Return how many numbers items have had: all are below."""
        return len(self._names)

    def item(self, name: str) -> int:
        """Return an item's number, -1 if it is in no session."""
        return self._items.get(name, NONE)

    def name(self, item: int) -> str:
        """Return an item's id."""
        return self._names[item]

    def slot(self, session: str) -> int:
        """Return where a session lies, -1 if it is not in the index."""
        return self._slots.get(session, NONE)

    def sessions_of(self, name: str) -> set[int]:
        """Return the slots of the newest sessions that hold an item."""
        item = self.item(name)
        if item < 0 or self.arrays.slab[item] < 0:
            return set()
        first = self.arrays.slab[item]
        return set(self.arrays.pool[first : first + self.arrays.used[item]].tolist())

    def held(self, session: str) -> list[str]:
        """Return a session's items, the oldest first; none if it is not in the index."""
        slot = self.slot(session)
        if slot < 0:
            return []
        a = self.arrays
        return [self._names[item] for item in a.items[slot, : a.length[slot]].tolist()]

    def available(self, name: str, *, yes: bool) -> None:
        """Hide an item from every list, or show it again."""
        (self._unavailable.discard if yes else self._unavailable.add)(name)
        if (item := self.item(name)) >= 0:
            self.hidden[item] = not yes

    def categorise(self, name: str, category: str | None) -> None:
        """Remember an item's category; None forgets it."""
        if category is None:
            self._categories.pop(name, None)
        elif name in self._categories or len(self._categories) < self.bounds.items:
            self._categories[name] = category
            if len(self._category_numbers) < self.bounds.items:
                self._category_numbers.setdefault(category, len(self._category_numbers))
        if (item := self.item(name)) >= 0:
            self.category[item] = self.number(self.category_of(name))

    def category_of(self, name: str) -> str | None:
        """Return an item's category, None if not known."""
        return self._categories.get(name)

    def number(self, category: str | None) -> int:
        """Return a category's number, -1 for an unknown one."""
        return NONE if category is None else self._category_numbers.get(category, NONE)

    def put(
        self, session: str, started: int, items: Sequence[str], actions: Sequence[str] | None = None
    ) -> None:
        """Store a session as it stands, in place of what was stored of it.

        One of a single item says nothing about others: it enters with its second. One without items
        leaves. `started` (ms) is its order among others.
        """
        slot = self.slot(session)
        if slot < 0 and len(set(items)) < 2:
            return
        kept = items[-self.bounds.length :]
        found = [self.hold(name) for name in kept]
        kinds = ["view"] * len(kept) if actions is None else actions[-self.bounds.length :]
        pairs = [
            (item, ACTIONS.get(kind, 0))
            for item, kind in zip(found, kinds, strict=True)
            if item >= 0
        ]
        if slot < 0:
            slot = self._enter(session)
        self._store(slot, started, session, pairs)
        if not pairs:
            self._leave(slot)

    def hold(self, name: str) -> int:
        """Return an item's number, a new one if it has none; -1 where there is no room for more."""
        item = self._items.get(name)
        if item is not None:
            return item
        if self._unused:
            item = self._unused.pop()
            self._names[item] = name
        elif len(self._names) < self.bounds.items:
            item = len(self._names)
            self._names.append(name)
        else:
            self.refused += 1
            return NONE
        self._items[name] = item
        self.arrays.tie[item] = crc32(name.encode())
        self.hidden[item] = name in self._unavailable
        self.category[item] = self.number(self._categories.get(name))
        return item

    def release(self, item: int) -> None:
        """Forget an item that no session holds and nobody clicked lately."""
        if self.arrays.sessions[item] == 0 and self.clicks[item] == 0:
            name = self._names[item]
            if self._items.get(name) == item:  # else it was forgotten before
                del self._items[name]
                self._unused.append(item)

    def _enter(self, session: str) -> int:
        slot = self._next
        self._next = (slot + 1) % self.bounds.sessions
        if self._ids[slot]:
            self._store(slot, 0, "", [])
            self._leave(slot)
        self._ids[slot] = session
        self._slots[session] = slot
        self.sessions += 1
        return slot

    def _leave(self, slot: int) -> None:
        del self._slots[self._ids[slot]]
        self._ids[slot] = ""
        self.sessions -= 1

    def _store(self, slot: int, started: int, session: str, pairs: list[tuple[int, int]]) -> None:
        a = self.arrays
        if not arrays.has_room(a):
            arrays.compact(a)
        before: list[int] = a.items[slot, : a.length[slot]].tolist()
        items = np.array([item for item, _ in pairs], np.int32)
        actions = np.array([action for _, action in pairs], np.int8)
        # Sessions that started together have an order all the same, and always the same.
        key = (started << 20) | (crc32(session.encode()) & 0xFFFFF)
        arrays.put(a, slot, key, items, actions)
        for item in set(before).difference([item for item, _ in pairs]):
            self.release(item)

"""Remember which alerts of each item are open, and at which places of the log they changed.

The topic `stock-watch` is this memory's copy. A consumer that begins again reads records that it
has handled before, and a memory that is already past them: so of each item the last few changes are
kept, and an entry is judged from what was open before it. The same entry then tells the same again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from domain.inventory.watch import Opened, Watched

KEPT = 16
"""Changes kept of an item: more than it has between two commits."""
NEVER = -1


class Memory:
    """The open alerts of all items that ever had one."""

    def __init__(self) -> None:
        self._changes: dict[str, list[tuple[int, Watched]]] = {}
        # Of an item whose earlier changes are gone, the place up to which nothing can be judged.
        self._gone: dict[str, int] = {}

    def clear(self) -> None:
        """Forget everything."""
        self._changes.clear()
        self._gone.clear()

    def restore(self, record: Mapping[str, Any]) -> None:
        """Take up a StockWatch; those of an item come in their order, some of them again."""
        item, sequence = record["item_id"], record["sequence"]
        if item not in self._changes and record["previous"] != NEVER:
            self._gone[item] = sequence
        opened = zip(record["kinds"], record["sequences"], record["opened_at"], strict=True)
        self._put(item, sequence, {kind: Opened(place, at) for kind, place, at in opened})

    def before(self, item: str, sequence: int) -> tuple[int, Watched] | None:
        """Return what was open before that place, and since which one; None if not known."""
        if sequence <= self._gone.get(item, NEVER):
            return None
        changes = self._changes.get(item, [])
        place = bisect_left(changes, sequence, key=lambda one: one[0])
        return changes[place - 1] if place else (NEVER, {})

    def at(self, item: str, sequence: int) -> Watched:
        """Return what is open after that place, or at the first one that is known."""
        changes = self._changes.get(item, [])
        place = bisect_left(changes, sequence + 1, key=lambda one: one[0])
        return changes[max(0, place - 1)][1] if changes else {}

    def change(self, item: str, sequence: int, previous: int, watched: Watched) -> dict[str, Any]:
        """Remember what is open from that place on; return the StockWatch of it."""
        self._put(item, sequence, watched)
        return {
            "item_id": item,
            "sequence": sequence,
            "previous": previous,
            "kinds": tuple(watched),
            "sequences": tuple(one.sequence for one in watched.values()),
            "opened_at": tuple(one.at for one in watched.values()),
        }

    def _put(self, item: str, sequence: int, watched: Watched) -> None:
        changes = self._changes.setdefault(item, [])
        place = bisect_left(changes, sequence, key=lambda one: one[0])
        # A change after it is told of again when its entry comes again.
        del changes[place:]
        changes.append((sequence, watched))
        if len(changes) > KEPT:
            del changes[:-KEPT]
            self._gone[item] = changes[0][0]

"""Track which offsets may be committed.

They are those whose batch, and every batch before it, is stored and confirmed by the broker.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(slots=True)
class Entry:
    """One batch: the position of each partition after it.

    `waiting` is the number of its records that the broker has yet to confirm. `done_at` is when the
    store had its values, on a clock in seconds; None before. `tick` marks a batch that delivers
    what the batches before it gathered.
    """

    positions: dict[Place, int]
    waiting: int = 0
    done_at: float | None = None
    tick: bool = False

    def confirmed(self) -> None:
        """Record one confirmation."""
        self.waiting -= 1

    def settled(self, until: float) -> bool:
        """Return whether the store had it by `until` and the broker confirmed all its records."""
        return self.waiting == 0 and self.done_at is not None and self.done_at <= until


class Ledger:
    """Batches in order. Nothing here waits: the loop asks for what may be committed by now.

    With `ticking`, a batch is committable only once a tick after it is settled.
    """

    def __init__(self, *, ticking: bool = False) -> None:
        self._entries: deque[Entry] = deque()
        self._ticking = ticking
        self._held: dict[Place, int] = {}  # settled, but without a tick after it yet

    def open(self, positions: Mapping[Place, int], *, tick: bool = False) -> Entry:
        """Open a batch. `positions` is the next offset to read, by place."""
        entry = Entry(dict(positions), tick=tick)
        self._entries.append(entry)
        return entry

    def ripe(self, until: float = math.inf) -> bool:
        """Return whether the first batch is settled."""
        return bool(self._entries) and self._entries[0].settled(until)

    def committable(self, until: float = math.inf) -> dict[Place, int]:
        """Return the next offset by place over the settled head of the batches, and forget them."""
        positions: dict[Place, int] = {}
        while self.ripe(until):
            entry = self._entries.popleft()
            if not self._ticking:
                positions.update(entry.positions)
                continue
            self._held.update(entry.positions)
            if entry.tick:
                positions.update(self._held)
                self._held.clear()
        return positions

    def forget(self, places: Iterable[Place]) -> None:
        """Drop partitions that are no longer ours: their offsets belong to their new owner."""
        gone = set(places)
        for entry in self._entries:
            entry.positions = _without(entry.positions, gone)
        self._held = _without(self._held, gone)


def _without(positions: Mapping[Place, int], gone: set[Place]) -> dict[Place, int]:
    return {place: offset for place, offset in positions.items() if place not in gone}

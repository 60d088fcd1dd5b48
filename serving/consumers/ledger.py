"""Which offsets may be committed.

Those whose batch, and every batch before it, is done and confirmed by the broker.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class Entry:
    """One batch.

    Where each partition stands after it, and how many of its records the broker has yet to confirm.

    `done_at`: when the store had its values, on a clock in seconds; None before.
    """

    positions: dict[int, int]
    waiting: int = 0
    done_at: float | None = None

    def confirmed(self) -> None:
        """One record was confirmed."""
        self.waiting -= 1

    def settled(self, until: float) -> bool:
        """Whether the store had it by `until`, and the broker confirmed what it made."""
        return self.waiting == 0 and self.done_at is not None and self.done_at <= until


class Ledger:
    """Batches in order. Nothing here waits: the loop asks for what may be committed by now."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()

    def open(self, positions: Mapping[int, int]) -> Entry:
        """A batch in hand. `positions`: next offset to read, by partition."""
        entry = Entry(dict(positions))
        self._entries.append(entry)
        return entry

    def ripe(self, until: float = math.inf) -> bool:
        """Whether anything is committable."""
        return bool(self._entries) and self._entries[0].settled(until)

    def committable(self, until: float = math.inf) -> dict[int, int]:
        """Next offset by partition over the confirmed head of the batches done by `until`.

        This forgets them.
        """
        positions: dict[int, int] = {}
        while self.ripe(until):
            positions.update(self._entries.popleft().positions)
        return positions

    def forget(self, partitions: Iterable[int]) -> None:
        """Partitions that are no longer ours: their offsets are their new owner's."""
        gone = set(partitions)
        for entry in self._entries:
            entry.positions = {
                place: offset for place, offset in entry.positions.items() if place not in gone
            }

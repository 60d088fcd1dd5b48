"""Which offsets may be committed: those whose batch, and every batch before it, is done and confirmed by the broker."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Entry:
    """One batch: where each partition stands after it, and how many of its records the broker has yet to confirm."""

    positions: dict[int, int]
    waiting: int = 0
    done: bool = field(default=False)

    def confirmed(self) -> None:
        """One record was confirmed."""
        self.waiting -= 1


class Ledger:
    """Batches in order. Nothing here waits: the loop asks for what may be committed by now."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()

    def open(self, positions: Mapping[int, int]) -> Entry:
        """A batch in hand. `positions`: next offset to read, by partition."""
        entry = Entry(dict(positions))
        self._entries.append(entry)
        return entry

    def committable(self) -> dict[int, int]:
        """Next offset by partition over the done and confirmed head of the batches; they are forgotten with this."""
        positions: dict[int, int] = {}
        while self._entries and self._entries[0].done and self._entries[0].waiting == 0:
            positions.update(self._entries.popleft().positions)
        return positions

    def forget(self, partitions: Iterable[int]) -> None:
        """Partitions that are no longer ours: their offsets are their new owner's."""
        gone = set(partitions)
        for entry in self._entries:
            entry.positions = {place: offset for place, offset in entry.positions.items() if place not in gone}

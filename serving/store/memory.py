"""Keep values in a dict, for tests and examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from serving.store.model import Index, Rule, Stored, Write, newer


class MemoryStore:
    """The rules of every store in a dict; `clock` gives seconds, for expiry.

    One conformance suite holds it equal to the others.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, trail: float = 0.0) -> None:
        self.values: dict[str, Stored] = {}
        self.indexes: dict[str, dict[bytes, int]] = {}
        self.trail = trail
        self._clock = clock
        self._expires: dict[str, float] = {}

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        """Apply the writes in order."""
        self._purge()
        return [self._apply(write) for write in writes]

    def _apply(self, write: Write) -> Stored | None:
        value = Stored(write.event_time, write.sequence, write.data)
        old = self.values.get(write.key)
        if old is not None and (write.rule is Rule.FIRST or not newer(value, old)):
            return old
        self.values[write.key] = value
        self._keep_for(write.key, write.ttl_ms)
        if write.latest:
            latest = self.values.get(write.latest)
            if latest is None or newer(value, latest):
                self.values[write.latest] = value
            self._keep_for(write.latest, write.ttl_ms)
        if write.index is not None:
            self._enter(write.index, value)
            self._keep_for(write.index.key, write.ttl_ms)
        return None

    def _enter(self, index: Index, value: Stored) -> None:
        members = self.indexes.setdefault(index.key, {})
        members[value.data if index.member is None else index.member.encode()] = value.event_time
        while len(members) > index.keep:
            oldest = min(members, key=lambda member: (members[member], member))
            del members[oldest]
            if index.evict:
                self.values.pop(index.evict + oldest.decode(), None)

    def _keep_for(self, key: str, ttl_ms: int | None) -> None:
        if ttl_ms is None:
            self._expires.pop(key, None)
        else:
            self._expires[key] = self._clock() + ttl_ms / 1000

    def _purge(self) -> None:
        if not self._expires:
            return
        moment = self._clock()
        for key in [key for key, end in self._expires.items() if end <= moment]:
            del self._expires[key]
            self.values.pop(key, None)
            self.indexes.pop(key, None)

    def check(self) -> None:
        """Return at once: the store lives as long as its user."""

    def get(self, key: str) -> Stored | None:
        """Return the value of a key."""
        self._purge()
        return self.values.get(key)

    def newest(self, index: str, count: int) -> list[bytes]:
        """Return the `count` newest members."""
        self._purge()
        members = self.indexes.get(index, {})
        return sorted(members, key=lambda member: (members[member], member), reverse=True)[:count]

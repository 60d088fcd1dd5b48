"""What consumers write, and what every store makes of it.

Order-proof: whichever order and however often writes arrive, the same values end up stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Rule(Enum):
    """Which of two writes to one key stays."""

    FIRST = "first"  # a decision was made: a repetition or a rescoring never replaces it
    NEWEST = "newest"  # the greater (event_time, sequence)


@dataclass(frozen=True, slots=True)
class Index:
    """A sorted set by event time that the value enters; the oldest beyond `keep` leave.

    `member` None: the stored bytes themselves are the member. Otherwise the member names the value,
    and with `evict` a member that leaves takes the key `evict + member` with it.
    """

    key: str
    keep: int
    member: str | None = None
    evict: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """One value.

    `latest` names a second key that keeps the newest of all values written with it.

    `ttl_ms`: how long the store keeps the value, counted from the write; None: for good. `latest`
    and the index are kept as long as the last write that entered them asked for.
    """

    key: str
    event_time: int
    sequence: int
    data: bytes
    rule: Rule = Rule.FIRST
    latest: str = ""
    index: Index | None = None
    ttl_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A value with its version."""

    event_time: int
    sequence: int
    data: bytes


class StoreRestartedError(Exception):
    """The store may have forgotten what it answered in its last seconds.

    That has to be applied again first.
    """


class Store(Protocol):
    """The writing side, and as much of reading as tests need.

    `trail`: offsets are committed so many seconds after the store had the values, for it may forget
    what it answered so lately.
    """

    trail: float

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        """Apply in order; return for each write None, or the value that stays instead of its own.

        Every write is idempotent, so the whole batch may be repeated after `RetryableError` (store
        away, or full). Raise `StoreRestartedError` as `check` does.
        """
        ...

    def check(self) -> None:
        """Raise `StoreRestartedError` unless what answered so far still runs.

        `RetryableError` when nothing answers.
        """
        ...

    def get(self, key: str) -> Stored | None:
        """Return the value of a key."""
        ...

    def newest(self, index: str, count: int) -> list[bytes]:
        """Return the `count` newest members of an index, newest first."""
        ...


def newer(a: Stored, b: Stored) -> bool:
    """Tell whether `a` has the greater (event_time, sequence)."""
    return (a.event_time, a.sequence) > (b.event_time, b.sequence)

"""Define the writes of consumers and the rules by which every store applies them.

The rules are order-proof: in whichever order and however often writes arrive, the same values end
up stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Rule(Enum):
    """The rule for which of two writes to one key stays."""

    FIRST = "first"  # a decision was made: a repetition or a rescoring never replaces it
    NEWEST = "newest"  # the greater (event_time, sequence)


@dataclass(frozen=True, slots=True)
class Index:
    """A sorted set by event time that the value enters; the oldest beyond `keep` leave.

    With `member` None, the stored bytes themselves are the member. Otherwise the member names the
    value, and with `evict` a member that leaves takes the key `evict + member` with it.
    """

    key: str
    keep: int
    member: str | None = None
    evict: str = ""


@dataclass(frozen=True, slots=True)
class Write:
    """One value to store.

    `latest` names a second key that keeps the newest of all values written with it.

    `ttl_ms` is how long the store keeps the value, counted from the write; None is for good.
    `latest` and the index are kept as long as the last write that entered them asked for.
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
    """Raised when the store restarted and may have forgotten its answers of the last seconds.

    Those writes have to be applied again first.
    """


class Store(Protocol):
    """The writing side of a store, and as much of reading as tests need.

    `trail`: offsets are committed this many seconds after the store had the values, because it may
    forget its most recent answers.
    """

    trail: float

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        """Apply the writes in order; return for each None, or the value that stays instead.

        Every write is idempotent, so the whole batch may be repeated after RetryableError (store
        away, or full). Raise StoreRestartedError as `check` does.
        """
        ...

    def check(self) -> None:
        """Raise StoreRestartedError unless the server that answered so far still runs.

        Raise RetryableError when nothing answers.
        """
        ...

    def get(self, key: str) -> Stored | None:
        """Return the value of a key."""
        ...

    def newest(self, index: str, count: int) -> list[bytes]:
        """Return the `count` newest members of an index, newest first."""
        ...


def newer(a: Stored, b: Stored) -> bool:
    """Return whether `a` has the greater (event_time, sequence)."""
    return (a.event_time, a.sequence) > (b.event_time, b.sequence)

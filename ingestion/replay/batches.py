"""Define the batches that a source hands to the replay.

Records come in the order they are to be sent, cut in batches that end at a barrier.

A batch is acknowledged whole before the next begins, and batch boundaries depend on the source
alone. So an interrupted replay goes on at the beginning of a batch, and the records it sends twice
carry the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Record(NamedTuple):
    """One record to produce.

    `due` is the event time to pace by (ms). `row` is false for a record that is not a row of the
    source of its own, such as the verdict on an earlier one: a rate does not count it.
    """

    topic: str
    key: str
    value: bytes
    due: int
    row: bool = True


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that became no record: its number in the source (from 0), why, and its content."""

    row: int
    reason: str
    content: str


@dataclass(slots=True)
class Batch:
    """Records up to the next barrier. `rows`: rows of the source read when the batch ends."""

    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    rows: int = 0

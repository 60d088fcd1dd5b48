"""Say how a product asks the lake for what it learns from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import pyarrow as pa


class Answer(Protocol):
    """Rows of the lake, and the snapshots that they were read from, by table."""

    @property
    def rows(self) -> pa.Table:
        """Return the rows."""
        ...

    @property
    def snapshots(self) -> Mapping[str, int]:
        """Return the snapshots."""
        ...


class Ask(Protocol):
    """Asks the lake: a query, its tables, and the snapshots of those that are pinned."""

    def __call__(self, query: str, names: Sequence[str], pinned: Mapping[str, int]) -> Answer:
        """Return the answer. Raise UserError if there is none."""
        ...


def moment(ms: int) -> str:
    """Return a time in ms since 1970 as the lake's SQL writes it."""
    return f"make_timestamptz({ms * 1000})"

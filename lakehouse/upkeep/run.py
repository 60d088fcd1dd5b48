"""Do all the upkeep of tables, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from pyiceberg.catalog import Catalog

from lakehouse.reading import chosen, tables
from lakehouse.upkeep.compaction import LIMITS, Compacted, Limits, compact
from lakehouse.upkeep.expiry import expire
from lakehouse.upkeep.orphans import remove


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: snapshots are kept for `keep`, orphans of `age` removed; None: not to be done."""

    limits: Limits | None = LIMITS
    keep: timedelta | None = timedelta(days=7)
    age: timedelta | None = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was done to a table."""

    table: str
    compacted: Compacted
    expired: int
    orphans: int
    orphan_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def upkeep(lake: Catalog, names: Sequence[str], plan: Plan, now: datetime) -> Iterator[Kept]:
    """Look after the tables of these names, all if there are none, and yield what was done.

    Compaction comes first: what it replaces expires later, and is removed later still. Raise
    UserError for a table that is not there.
    """
    for name in chosen(names, tables(lake)):
        table = lake.load_table(name)
        compacted = Compacted() if plan.limits is None else compact(table, plan.limits)
        expired = [] if plan.keep is None else expire(table, now - plan.keep)
        removed = [] if plan.age is None else remove(table, plan.age, now)
        size = sum(one.bytes for one in removed)
        yield Kept(name, compacted, len(expired), len(removed), size)

"""Tell how large the lake's tables are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from lakehouse.positions import told


@dataclass(frozen=True, slots=True)
class Size:
    """A table's size: `bytes` of its data files, `newest` the time of its newest snapshot."""

    table: str
    rows: int
    files: int
    bytes: int
    snapshots: int
    newest: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the size as JSON types."""
        return asdict(self)


def listing(lake: Catalog) -> list[Size]:
    """Return the size of every table, by namespace and name."""
    names = sorted(
        identifier
        for namespace in lake.list_namespaces()
        for identifier in lake.list_tables(namespace)
    )
    return [size(lake.load_table(name)) for name in names]


def size(table: Table) -> Size:
    """Return the size of a table as its newest snapshot tells it."""
    snapshot = table.current_snapshot()
    said = told(snapshot)
    newest = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC) if snapshot else None
    return Size(
        table=".".join(table.name()),
        rows=int(said.get("total-records", 0)),
        files=int(said.get("total-data-files", 0)),
        bytes=int(said.get("total-files-size", 0)),
        snapshots=len(table.metadata.snapshots),
        newest=newest.isoformat(timespec="seconds") if newest else None,
    )

"""Small lakes in a folder, with tables of bronze as the job finds them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from config.lake import LakeTable
from lakehouse.tables import apply

EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)


def lake(folder: Path) -> SqlCatalog:
    """An empty lake in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found = SqlCatalog(
        "lake", uri=f"sqlite:///{folder / 'catalog.db'}", warehouse=f"file://{folder / 'warehouse'}"
    )
    for namespace in ("bronze", "silver", "gold"):
        found.create_namespace_if_not_exists(namespace)
    return found


def bronze(catalog: Catalog, name: str, record: str, time: str = "event_time") -> Table:
    """The empty bronze table of a record."""
    table = LakeTable(name, name.replace("_", "-"), record, time)
    apply(catalog, [table])
    return catalog.load_table(table.identifier)


def append(table: Table, topic: str, rows: Iterable[dict[str, Any]], partition: int = 0) -> None:
    """Append records in one commit, offsets going on from the partition's last one."""
    found = table.scan(row_filter=f"_partition == {partition}", selected_fields=("_offset",))
    before = found.to_arrow()["_offset"].to_pylist()
    start = max(before, default=-1) + 1
    placed = [
        {"_topic": topic, "_partition": partition, "_offset": start + at, **row}
        for at, row in enumerate(rows)
    ]
    for row in placed:
        row.setdefault("_ingested_at", EPOCH + timedelta(milliseconds=row["_offset"]))
    table.append(pa.Table.from_pylist(placed, schema=table.schema().as_arrow()))


def payments(count: int, start: datetime = EPOCH, first: int = 0) -> list[dict[str, Any]]:
    """Payments, one a minute."""
    return [
        {
            "transaction_id": f"t{first + at}",
            "event_time": start + timedelta(minutes=at),
            "customer_id": f"c{(first + at) % 7}",
            "terminal_id": f"k{(first + at) % 3}",
            "amount": round(10 + (first + at) * 0.37, 2),
        }
        for at in range(count)
    ]

"""Small lakes in a folder, bronze as the job writes it, by PyIceberg from the contracts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table
from pyiceberg.transforms import DayTransform

from ingestion import schema

EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
_SIMPLE = {
    "string": pa.string(),
    "double": pa.float64(),
    "long": pa.int64(),
    "int": pa.int32(),
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
}
_PLACE = [
    pa.field("_topic", pa.string()),
    pa.field("_partition", pa.int32()),
    pa.field("_offset", pa.int64()),
    pa.field("_ingested_at", pa.timestamp("us", tz="UTC")),
]


def lake(folder: Path) -> SqlCatalog:
    """An empty lake in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found = SqlCatalog(
        "lake", uri=f"sqlite:///{folder / 'catalog.db'}", warehouse=f"file://{folder / 'warehouse'}"
    )
    for namespace in ("bronze", "silver", "gold"):
        found.create_namespace_if_not_exists(namespace)
    return found


def bronze(catalog: Catalog, name: str, record: str) -> Table:
    """The empty bronze table of a record."""
    columns = [
        pa.field(one["name"], _arrow(one["type"]), nullable=True)
        for one in schema.load(record)["fields"]
    ]
    table = catalog.create_table(f"bronze.{name}", schema=pa.schema([*columns, *_PLACE]))
    with table.update_spec() as update:
        update.add_field("event_time", DayTransform(), "event_time_day")
    return table


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


def _arrow(of: Any) -> pa.DataType:
    if isinstance(of, list):
        return _arrow(next(one for one in of if one != "null"))
    if isinstance(of, str):
        return _SIMPLE[of]
    if of.get("logicalType") == "timestamp-millis":
        return pa.timestamp("us", tz="UTC")
    if of["type"] == "array":
        return pa.list_(_arrow(of["items"]))
    if of["type"] == "map":
        return pa.map_(pa.string(), _arrow(of["values"]))
    if of["type"] == "enum":
        return pa.string()
    return _arrow(of["type"])


def values(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as text in an order of their own, for comparisons."""
    return json.dumps(sorted(json.dumps(row, default=str, sort_keys=True) for row in rows))

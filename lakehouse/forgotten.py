"""Keep the places of rows that were removed for good, and nothing of what they held.

So that nobody takes them for lost: the job's start, `millrace lake check`, and whoever computes a
vector again. A terminal and a day say what they bore on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from config.lake import OFFSET, PARTITION, TOPIC
from lakehouse import catalog
from lakehouse.commits import retried

if TYPE_CHECKING:
    import duckdb

NAME = "ops.forgotten"
HELD = "millrace.held"
"""A table's property: the highest offset by partition that it has had."""
TERMINAL = "terminal_id"
_SCHEMA = pa.schema(
    [
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("day", pa.timestamp("us", tz="UTC")),
        (TERMINAL, pa.string()),
        ("forgotten_at", pa.timestamp("us", tz="UTC")),
    ]
)


def keep(lake: Catalog, rows: pa.Table, event_time: str, now: datetime) -> None:
    """Append the places of rows of bronze whose event time is the column `event_time`."""
    count = len(rows)
    day = pc.floor_temporal(rows[event_time], unit="day")
    terminal = rows[TERMINAL] if TERMINAL in rows.column_names else pa.nulls(count, pa.string())
    when = pa.repeat(pa.scalar(now, _SCHEMA.field("forgotten_at").type), count)
    columns = [rows[TOPIC], rows[PARTITION], rows[OFFSET], day, terminal, when]
    found = pa.table(
        [one.cast(field.type) for one, field in zip(columns, _SCHEMA, strict=True)], schema=_SCHEMA
    )
    lake.create_namespace_if_not_exists(NAME.partition(".")[0])
    lake.create_table_if_not_exists(NAME, _SCHEMA).append(found)


def places(lake: Catalog) -> dict[tuple[str, int], list[int]]:
    """Return the offsets that were removed, by topic and partition."""
    found: dict[tuple[str, int], list[int]] = {}
    table = catalog.found(lake, NAME)
    if table is None:
        return found
    for row in table.scan(selected_fields=("topic", "partition", "offset")).to_arrow().to_pylist():
        found.setdefault((row["topic"], row["partition"]), []).append(row["offset"])
    return found


def show(con: duckdb.DuckDBPyConnection, lake: Catalog) -> None:
    """Make the table a view of DuckDB's, an empty one if nothing was ever removed."""
    from lakehouse import reading

    reading.show_kept(con, NAME, catalog.found(lake, NAME), _SCHEMA)


def held(table: Table) -> dict[int, int]:
    """Return the highest offset by partition that a table has had when rows were removed."""
    told: dict[str, int] = json.loads(table.properties.get(HELD, "{}"))
    return {int(partition): offset for partition, offset in told.items()}


def remember(
    table: Table, highest: dict[int, int], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Write down the highest offsets, before the rows that have them go.

    Raise CommitFailedException if others always came first.
    """

    def commit() -> None:
        known = held(table)
        both = {one: max(highest.get(one, -1), known.get(one, -1)) for one in {*highest, *known}}
        told = {str(one): both[one] for one in sorted(both)}
        with table.transaction() as change:
            change.set_properties({HELD: json.dumps(told)})

    retried(table, commit, sleep)
    table.refresh()

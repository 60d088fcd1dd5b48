"""Keep which state of the fraud job was filled from history, and up to where in the log.

Without that, vectors which follow a change of the declaration count as such that cannot know what
was before it (lakehouse/fraud/log.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog

from lakehouse import catalog, reading

NAME = "ops.handovers"
_SCHEMA = pa.schema(
    [
        ("version", pa.string()),
        ("partition", pa.int32()),
        ("seam", pa.int64()),
        ("known_from", pa.int64()),
        ("at", pa.timestamp("us", tz="UTC")),
    ]
)


def keep(
    lake: Catalog, version: str, seam: Mapping[int, int], known_from: int, now_ms: int
) -> None:
    """Add a handover: state of `version` that knows the log from event time `known_from` (ms) on.

    The job goes on from `seam`, the next offset of each partition.
    """
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    rows = [
        {"version": version, "partition": one, "seam": at, "known_from": known_from, "at": now}
        for one, at in sorted(seam.items())
    ]
    lake.create_namespace_if_not_exists(NAME.partition(".")[0])
    table = lake.create_table_if_not_exists(NAME, _SCHEMA)
    table.append(pa.Table.from_pylist(rows, schema=_SCHEMA))


def show(con: duckdb.DuckDBPyConnection, lake: Catalog) -> None:
    """Make the table a view of DuckDB's, an empty one if nothing was ever handed over."""
    reading.show_kept(con, NAME, catalog.found(lake, NAME), _SCHEMA)

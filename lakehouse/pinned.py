"""Ask the lake at pinned snapshots, so that the same question has the same answer later, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog

from config.errors import UserError
from lakehouse.query import told
from lakehouse.reading import NOW, Moment, chosen, show, tables


@dataclass(frozen=True, slots=True)
class Pinned:
    """An answer, and the snapshots that it was read from, by table."""

    rows: pa.Table
    snapshots: dict[str, int]


def ask(
    con: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    query: str,
    names: Sequence[str],
    pinned: Mapping[str, int],
) -> Pinned:
    """Run a query of ours over tables, each at its pinned snapshot, the newest one if it has none.

    Raise UserError for a table or a column that is not there, or a snapshot that has expired.
    """
    snapshots: dict[str, int] = {}
    for name in chosen(names, tables(catalog)):
        table = catalog.load_table(name)
        moment = Moment(pinned[name]) if name in pinned else NOW
        snapshot = moment.of(table, name)
        # The number itself, as others may commit meanwhile.
        show(con, name, table, NOW if snapshot is None else Moment(snapshot))
        if snapshot is not None:
            snapshots[name] = snapshot
    try:
        return Pinned(con.sql(query).to_arrow_table(), snapshots)
    except duckdb.Error as error:
        raise UserError(told(error)) from None

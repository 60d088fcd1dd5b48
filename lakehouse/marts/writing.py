"""Write what a model has computed into its Iceberg table: all of it, or by key.

By key, the rows of a key that the model has computed take the place of those that the table had of
it. Partitions (the days of `day`) that hold any of them are written anew, the others are left. Each
store is one commit, so readers see it whole or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import AlwaysTrue, BooleanExpression, In
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform

from lakehouse.catalog import found
from lakehouse.commits import retried
from lakehouse.files import discard, live, swap, write
from lakehouse.reading import quoted, show
from lakehouse.tables import PROPERTIES

RUN = "millrace.run"
_CHUNK_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Target:
    """The table that a model fills: `key` names its rows, `day` its partitions' column.

    Without a key every store writes all. `run` is kept in the snapshot's summary.
    """

    name: str
    key: tuple[str, ...] = ()
    day: str | None = None
    run: int = 0
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)


def store(
    con: duckdb.DuckDBPyConnection, catalog: Catalog, target: Target, source: str, *, whole: bool
) -> int:
    """Write the rows of `source`, a relation of DuckDB's, and return how many rows were written.

    `whole`: they are all that the table shall hold. Else they replace those of the same key, and
    other rows of the same days are written again with them. Nothing is committed when there is
    nothing to write. Another commit in between (compaction) has the store done once more; raise
    CommitFailedException when that does not help either.
    """
    arrow = con.sql(f"select * from {source} limit 0").to_arrow_table().schema
    table = _table(catalog, target, arrow)
    whole = whole or not target.key
    return retried(
        table,
        lambda: _store(con, table, target, source, arrow, whole=whole),
        target.sleep,
    )


def _table(catalog: Catalog, target: Target, arrow: pa.Schema) -> Table:
    table = found(catalog, target.name)
    if table is None:
        catalog.create_namespace_if_not_exists(target.name.partition(".")[0])
        table = catalog.create_table(target.name, schema=arrow, properties=PROPERTIES)
        if target.day is not None:
            with table.update_spec() as update:
                update.add_field(target.day, IdentityTransform(), target.day)
    return table


def _store(
    con: duckdb.DuckDBPyConnection,
    table: Table,
    target: Target,
    source: str,
    arrow: pa.Schema,
    *,
    whole: bool,
) -> int:
    empty = table.current_snapshot() is None
    ((count,),) = con.sql(f"select count(*) from {source}").fetchall()
    if not count and (empty or not whole):
        return 0
    rows = source
    where: BooleanExpression = AlwaysTrue()
    if not whole and not empty:
        show(con, target.name, table)
        days = _days(con, target, source) | _days(con, target, _touched(target, source))
        rows = _merged(target, source, days)
        if target.day is not None:
            chosen = sorted(one.isoformat() for one in days)
            # Pydantic's own signature hides the one that In has.
            where = In(target.day, chosen)  # type: ignore[misc, call-arg, arg-type]
    _add_columns(table, arrow)
    old, new = live(table, where), list[DataFile]()
    try:
        for chunk in _chunks(con, target, rows):
            new += write(table, chunk)
        swap(table, old, new, {RUN: str(target.run)})
    except BaseException:
        discard(table, new)
        raise
    return sum(one.record_count for one in new)


def _add_columns(table: Table, arrow: pa.Schema) -> None:
    known = {one.name for one in table.schema().fields}
    if set(arrow.names) - known:
        with table.update_schema() as update:
            update.union_by_name(arrow)


def _days(con: duckdb.DuckDBPyConnection, target: Target, rows: str) -> set[date]:
    if target.day is None:
        return set()
    return {
        one for (one,) in con.sql(f"select distinct {quoted(target.day)} from {rows}").fetchall()
    }


def _same_key(target: Target) -> str:
    return " and ".join(f"old.{quoted(one)} = new.{quoted(one)}" for one in target.key)


def _touched(target: Target, source: str) -> str:
    """Return the rows that the table has of the keys that were computed."""
    same = _same_key(target)
    return f"(from {target.name} old where exists (select 1 from {source} new where {same}))"


def _merged(target: Target, source: str, days: set[date]) -> str:
    """Return the new rows, and the table's others of the same days."""
    same = _same_key(target)
    within = f"{_in_days(target, days)} and " if target.day is not None else ""
    kept = (
        f"from {target.name} old where {within}not exists (select 1 from {source} new where {same})"
    )
    return f"(from {source} union all by name {kept})"


def _in_days(target: Target, days: Sequence[date] | set[date]) -> str:
    listed = ", ".join(f"date '{one.isoformat()}'" for one in sorted(days))
    return f"{quoted(target.day or '')} in ({listed or 'null'})"


def _chunks(con: duckdb.DuckDBPyConnection, target: Target, rows: str) -> Iterator[pa.Table]:
    """Yield the rows in tables of about a million: each holds whole days, if there are days."""
    if target.day is None:
        reader = con.sql(f"from {rows}").to_arrow_reader(_CHUNK_ROWS)
        yield from (pa.Table.from_batches([batch]) for batch in reader if batch.num_rows)
        return
    for group in _groups(con, target, rows):
        asked = con.sql(
            f"from {rows} where {_in_days(target, group)} order by {quoted(target.day)}"
        )
        chunk = asked.to_arrow_table()
        if len(chunk):
            yield chunk


def _groups(con: duckdb.DuckDBPyConnection, target: Target, rows: str) -> Iterator[list[date]]:
    day = quoted(target.day or "")
    counted = con.sql(f"select {day}, count(*) from {rows} group by 1 order by 1").fetchall()
    group: list[date] = []
    size = 0
    for one, count in counted:
        if group and size + count > _CHUNK_ROWS:
            yield group
            group, size = [], 0
        group.append(one)
        size += count
    if group:
        yield group

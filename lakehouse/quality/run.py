"""Run the declared checks of tables, and of samples of topics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog

from config.lake import INGESTED
from lakehouse.quality import measures
from lakehouse.quality.declared import Bound, Checks, checks
from lakehouse.quality.measures import Measured
from lakehouse.quality.results import Result
from lakehouse.quality.rows import Cells, arrow_schema, examine, names
from lakehouse.reading import Moment, quoted, show, tables

_BATCH_ROWS = 500_000


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of a table are looked at: those of the time `within` before `now`; None: all.

    `column` says which time of theirs counts: that of their arrival, or their own.
    """

    now: datetime
    within: timedelta | None = None
    column: str = INGESTED

    def rows(self, table: str) -> str:
        """Return the rows as a relation of SQL's."""
        if self.within is None:
            return table
        column, since, until = quoted(self.column), self.now - self.within, self.now
        return (
            f"(select * from {table} where {column} >= timestamptz '{since.isoformat()}' "
            f"and {column} < timestamptz '{until.isoformat()}')"
        )


def of_table(
    con: duckdb.DuckDBPyConnection, lake: Catalog, name: str, record: str, window: Window
) -> list[Result]:
    """Check a table of bronze at its newest snapshot, and return a result for each check."""
    declared, table = checks(record), lake.load_table(name)
    snapshot = Moment().of(table, name)
    show(con, name, table, Moment(snapshot))
    _show_others(con, lake, declared)
    there = {one.name for one in table.schema().fields}
    columns = ", ".join(quoted(one.name) for one in declared.columns if one.name in there)
    rows = window.rows(name)
    reader = con.sql(f"select {columns} from {rows}").to_arrow_reader(_BATCH_ROWS)
    batches = (pa.Table.from_batches([one], schema=reader.schema) for one in reader)
    found = examine(declared, batches)
    measured = list(_measured(con, name, rows, declared, window))
    return [
        *_of_cells(name, declared, found, snapshot),
        *(_of_measure(name, check, bound, one, snapshot) for check, bound, one in measured),
    ]


def of_sample(topic: str, record: str, sample: Sequence[Mapping[str, Any]]) -> list[Result]:
    """Check records of a topic, cell by cell; times are in ms, as they are on the wire."""
    declared = checks(record)
    wanted = arrow_schema(declared)
    rows = [{name: _cell(name, one.get(name), wanted) for name in wanted.names} for one in sample]
    found = examine(declared, [pa.Table.from_pylist(rows, schema=wanted)])
    return list(_of_cells(topic, declared, found, None))


def _cell(name: str, value: Any, wanted: pa.Schema) -> Any:
    if isinstance(value, int) and pa.types.is_timestamp(wanted.field(name).type):
        return datetime.fromtimestamp(value / 1000, UTC)
    return value


def _show_others(con: duckdb.DuckDBPyConnection, lake: Catalog, declared: Checks) -> None:
    there = tables(lake)
    for one in {bound.table for bound in declared.references} & set(there):
        show(con, one, lake.load_table(one))


def _measured(
    con: duckdb.DuckDBPyConnection, name: str, rows: str, declared: Checks, window: Window
) -> Iterator[tuple[str, Bound, Measured]]:
    if (bound := declared.unique) is not None:
        yield "unique", bound, measures.unique(con, rows, bound)
    for bound in declared.references:
        yield f"in {bound.table}", bound, _referred(con, rows, bound)
    if (bound := declared.freshness) is not None:
        yield "freshness", bound, measures.freshness(con, name, bound, window.now)
    if (bound := declared.volume) is not None and declared.time is not None:
        yield "volume", bound, measures.volume(con, name, declared.time, bound, window.now)


def _referred(con: duckdb.DuckDBPyConnection, rows: str, bound: Bound) -> Measured:
    try:
        return measures.references(con, rows, bound)
    except duckdb.CatalogException:
        return Measured(0, 0, None, False, f"there is no {bound.table}")


def _of_cells(
    subject: str, declared: Checks, found: Cells, snapshot: int | None
) -> Iterable[Result]:
    for column in declared.columns:
        for check in names(column):
            failed = found.failed[column.name, check]
            shown = ", ".join(found.examples.get((column.name, check), []))
            yield Result(
                subject,
                check,
                column.name,
                "error",
                passed=not failed,
                rows=found.rows,
                failed=failed,
                detail=f"as {shown}" if shown else "",
                snapshot_id=snapshot,
            )


def _of_measure(
    subject: str, check: str, bound: Bound, found: Measured, snapshot: int | None
) -> Result:
    return Result(
        subject,
        check,
        ", ".join(bound.columns),
        bound.level,
        found.passed,
        found.rows,
        found.failed,
        found.observed,
        found.detail,
        snapshot,
    )

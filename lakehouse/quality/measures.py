"""Measure a whole table in SQL: what repeats, what refers to nothing, how fresh and how much."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from statistics import median

import duckdb

from lakehouse.quality.declared import Bound
from lakehouse.reading import quoted


@dataclass(frozen=True, slots=True)
class Measured:
    """A measure of a table: rows it is about, how many fail, the number that was bounded."""

    rows: int
    failed: int
    observed: float | None
    passed: bool
    detail: str = ""


def unique(con: duckdb.DuckDBPyConnection, rows: str, bound: Bound) -> Measured:
    """Count the rows that repeat another one's columns."""
    columns = ", ".join(quoted(one) for one in bound.columns)
    ((total, different),) = con.execute(
        "select cast(coalesce(sum(n), 0) as bigint), count(*) "
        f"from (select count(*) as n from {rows} group by {columns})"
    ).fetchall()
    return _share(total, total - different, bound, f"repeat another row's {columns}")


def references(con: duckdb.DuckDBPyConnection, rows: str, bound: Bound) -> Measured:
    """Count the rows whose value the other table has not."""
    column = quoted(bound.columns[0])
    ((total, lost),) = con.execute(
        f"select count(*), count(*) filter (not exists (select 1 from {bound.table} other "
        f"where other.{column} = here.{column})) from {rows} here where {column} is not null"
    ).fetchall()
    return _share(total, lost, bound, f"not in {bound.table}")


def freshness(con: duckdb.DuckDBPyConnection, table: str, bound: Bound, now: datetime) -> Measured:
    """Say how many hours before `now` the newest row of then was ingested."""
    ((rows, newest),) = con.execute(
        f"select count(*), max(_ingested_at) from {table} where _ingested_at <= ?", [now]
    ).fetchall()
    if newest is None:
        return Measured(0, 0, None, False, "no rows")
    hours = (now - newest).total_seconds() / 3600
    return Measured(rows, 0, hours, hours <= bound.hours, f"newest row {hours:.1f} h ago")


def volume(
    con: duckdb.DuckDBPyConnection, table: str, time: str, bound: Bound, now: datetime
) -> Measured:
    """Compare the newest whole day, by event time, with the median of up to 28 days before."""
    counted = con.execute(
        f"select cast({quoted(time)} as date) as day, count(*) from {table} "
        f"where {quoted(time)} is not null and {quoted(time)} < cast(? as date) "
        "group by day order by day desc limit 29",
        [now.date()],
    ).fetchall()
    if len(counted) < 3:
        return Measured(sum(one[1] for one in counted), 0, None, True, "too few days to compare")
    (day, rows), before = counted[0], float(median(one[1] for one in counted[1:]))
    ratio = rows / before
    told = f"{day}: {rows:,} rows, {ratio:.2f} of the median of {len(counted) - 1} days before"
    return Measured(rows, 0, ratio, bound.least <= ratio <= bound.most, told)


def _share(total: int, failed: int, bound: Bound, words: str) -> Measured:
    share = failed / total if total else 0.0
    return Measured(
        total, failed, share, share <= bound.share, f"{failed:,} {words}" if failed else ""
    )

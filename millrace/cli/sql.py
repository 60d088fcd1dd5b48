"""Ask the lake: `millrace sql`."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.errors import UserError
from config.settings import settings
from domain.times import moment
from millrace.options import AsJson

if TYPE_CHECKING:
    from lakehouse.query import Answer

_SHOWN = 100
_NUMBERS = (int, float, Decimal)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="Example: millrace sql 'select count(*) from bronze.transactions' --at 2026-11-30"
    )(sql)


def sql(
    query: Annotated[
        str | None, typer.Argument(help="one statement that reads; - takes it from standard input")
    ] = None,
    *,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="print CSV, with a line of names")] = False,
    snapshot: Annotated[
        int | None, typer.Option(help="the table as of one of its snapshots")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="all tables as of a time (ISO 8601, UTC if not said)")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"rows at most; else {_SHOWN} in a table, all as JSON or CSV"),
    ] = None,
) -> None:
    """Ask the lake in DuckDB's SQL; without a query, list its tables.

    Tables are named bronze.x, silver.x or gold.x. Each is read at one snapshot, so a job that
    writes meanwhile disturbs nothing. Decimals are text in JSON, exact to the last digit; times are
    ISO 8601.
    """
    if as_json and as_csv:
        raise UserError("say --json or --csv, not both")
    if snapshot is not None and at is not None:
        raise UserError("say --snapshot or --at, not both")
    with _asked(query, snapshot, at) as answer:
        if as_json:
            _json(answer, limit)
        elif as_csv:
            _csv(answer, limit)
        else:
            _table(answer, limit or _SHOWN)


@contextmanager
def _asked(query: str | None, snapshot: int | None, at: str | None) -> Iterator[Answer]:
    from lakehouse.catalog import catalog
    from lakehouse.query import Answer, ask, connect
    from lakehouse.reading import Moment, tables

    current = settings()
    seen = Moment(snapshot, None if at is None else moment_of(at))
    lake = catalog(current)
    if query is None:
        yield Answer(("table",), iter([(name,) for name in tables(lake)]))
        return
    text = sys.stdin.read() if query == "-" else query
    with connect(current.lake_memory, current.lake_spill) as con:
        with Console(stderr=True).status("asking"):
            answer = ask(con, lake, text, seen)
        yield answer


def moment_of(text: str) -> datetime:
    """Return the time that a person wrote, in UTC. Raise UserError for anything else."""
    try:
        return moment(text)
    except ValueError:
        raise UserError(f"{text!r} is no time, such as 2026-11-30 or 2026-11-30T08:00Z") from None


def _json(answer: Answer, limit: int | None) -> None:
    before = "["
    for row in islice(answer.rows, limit):
        body = {name: plain(value) for name, value in zip(answer.columns, row, strict=True)}
        typer.echo(before + json.dumps(body, ensure_ascii=False), nl=False)
        before = ",\n "
    typer.echo("]" if before != "[" else "[]")


def _csv(answer: Answer, limit: int | None) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(map(cell, row) for row in islice(answer.rows, limit))


def _table(answer: Answer, limit: int) -> None:
    shown = list(islice(answer.rows, limit))
    more = next(answer.rows, None) is not None
    console = Console()
    text = [[cell(value) for value in row] for row in shown]
    widths = [max(map(len, column)) for column in zip(answer.columns, *text, strict=True)]
    if sum(widths) + 3 * len(widths) + 1 > console.width and shown:
        _records(console, answer.columns, text)
    else:
        table = Table()
        for at, name in enumerate(answer.columns):
            number = any(isinstance(row[at], _NUMBERS) for row in shown)
            table.add_column(Text(name), justify="right" if number else "left")
        for row in text:
            table.add_row(*map(Text, row))
        console.print(table)
    if more:
        typer.echo(f"the first {limit} rows; --limit shows more", err=True)


def _records(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows that are too wide for the screen one below the other."""
    for number, row in enumerate(rows, 1):
        console.print(Text(f"row {number}", style="bold"))
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in zip(columns, row, strict=True):
            grid.add_row(Text(name), Text(value))
        console.print(grid)


def plain(value: Any) -> Any:
    """Return a value as JSON has it: decimals and bytes as text, no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    return cell(value)


def cell(value: Any) -> str:
    """Return a value as text."""
    if value is None:
        return ""
    for kind, written in _WRITTEN.items():
        if isinstance(value, kind):
            return written(value)
    return str(value)


def _iso(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat(timespec="milliseconds")
    apart = value.astimezone(UTC).replace(tzinfo=None)
    exact = "milliseconds" if not apart.microsecond % 1000 else "microseconds"
    return apart.isoformat(timespec=exact) + "Z"


# The first that fits: a datetime is a date, too.
_WRITTEN: dict[type, Callable[[Any], str]] = {
    datetime: _iso,
    date: date.isoformat,
    time: time.isoformat,
    bytes: bytes.hex,
    bool: lambda value: str(value).lower(),
    list: lambda value: json.dumps(plain(value), ensure_ascii=False),
    tuple: lambda value: json.dumps(plain(value), ensure_ascii=False),
    dict: lambda value: json.dumps(plain(value), ensure_ascii=False),
}

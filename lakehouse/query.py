"""Ask the lake in SQL: refuse what writes, open the tables named, tell errors in a line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from pyiceberg.catalog import Catalog

from config.errors import UserError
from lakehouse.reading import NAMESPACES, NOW, Moment, settle, show, tables

_READING = {
    duckdb.StatementType.SELECT,
    duckdb.StatementType.EXPLAIN,
    duckdb.StatementType.MULTI,  # a PIVOT, which DuckDB takes apart
}
_BATCH = 10_000
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a query: the columns, and an iterator of rows that is read once."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


def connect(memory: str, spill: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection that keeps nothing, in UTC, and never fetches an extension.

    Beyond `memory` (as DuckDB writes it: 1GB) it spills to files in the folder.
    """
    con = duckdb.connect()
    settle(con, memory, spill)
    return con


def ask(
    con: duckdb.DuckDBPyConnection, catalog: Catalog, query: str, moment: Moment = NOW
) -> Answer:
    """Run a query over the lake's tables as of `moment`.

    Raise UserError for anything but one statement that reads, for a table that is not there, a
    snapshot that its table does not have, and whatever DuckDB finds wrong.
    """
    try:
        _refuse_writing(con.extract_statements(query))
        wanted = _named(query, catalog)
        if moment.snapshot is not None and len(wanted) != 1:
            raise UserError("a snapshot belongs to one table; use --at for a query of several")
        for name in wanted:
            show(con, name, catalog.load_table(name), moment)
        con.execute(query)
    except duckdb.Error as error:
        raise UserError(told(error)) from None
    return Answer(tuple(one[0] for one in con.description or ()), _rows(con))


def told(error: duckdb.Error) -> str:
    """Return DuckDB's message on one line, with the place it points at."""
    message, _, rest = str(error).partition("\n\nLINE ")
    words = " ".join(message.split())
    lines = rest.split("\n")
    pointed = re.search(r"\^+", lines[1]) if len(lines) > 1 else None
    if not pointed:
        return words
    line, _, _ = lines[0].partition(":")
    near = f"LINE {lines[0]}"[pointed.start() :].split()[:3]
    return f"{words} (line {line}, at {' '.join(near)!r})" if near else f"{words} (line {line})"


def _refuse_writing(statements: Sequence[duckdb.Statement]) -> None:
    if len(statements) != 1:
        raise UserError(f"one statement at a time; here are {len(statements)}")
    if statements[0].type not in _READING:
        kind = str(statements[0].type).rpartition(".")[2]
        raise UserError(f"queries only read; this is {kind}")


def _named(query: str, catalog: Catalog) -> list[str]:
    """Return the lake's tables that a query names. Raise UserError for one that is not there."""
    known = tables(catalog)
    try:
        # Where a view is there already, DuckDB would name what it rests on.
        with duckdb.connect() as empty:
            found = empty.get_table_names(query, qualified=True)
    except duckdb.InvalidInputException:  # a PIVOT: several statements to DuckDB
        return [name for name in known if re.search(rf"\b{re.escape(name)}\b", query)]
    names = sorted(one.replace('"', "") for one in found)
    for name in names:
        ours = name.partition(".")[0] in NAMESPACES or "." not in name
        if name not in known and ours:
            raise UserError(_unknown(name, known))
    return [name for name in names if name in known]


def _unknown(name: str, known: list[str]) -> str:
    short = [one for one in known if one.partition(".")[2] == name]
    close = short or difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"no table {name!r}; did you mean {' or '.join(close)}?"
    more = ", …" if len(known) > _NAMED else ""
    there = ", ".join(known[:_NAMED]) + more if known else "none yet"
    return f"no table {name!r}; there are: {there}"


def _rows(con: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    try:
        while found := con.fetchmany(_BATCH):
            yield from found
    except duckdb.Error as error:
        raise UserError(told(error)) from None

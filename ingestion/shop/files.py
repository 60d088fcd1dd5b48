"""What the readers of CSV files share: headers, columns of bytes, rows of the wrong width."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from config.errors import UserError
from ingestion.replay.batches import Rejected


def header(path: Path) -> tuple[str, ...]:
    """Return the names in a CSV file's first line. Raise UserError if it can't be read."""
    try:
        with path.open("rb") as file:
            first = file.readline(2000).decode("utf-8-sig", errors="replace").strip()
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from error
    return tuple(name.strip() for name in next(csv.reader([first]), []))


def check_header(path: Path, expected: tuple[str, ...], what: str) -> None:
    """Raise UserError unless the first line has exactly these names."""
    given = header(path)
    if given != expected:
        raise UserError(
            f"{path} is not {what}: its header is {','.join(given)!r}, "
            f"expected {','.join(expected)}"
        )


def check_columns(path: Path, needed: Collection[str], what: str) -> tuple[str, ...]:
    """Return the names in the first line. Raise UserError if one that is needed is missing."""
    given = header(path)
    if missing := [name for name in needed if name not in given]:
        raise UserError(f"{path} is not {what}: it has no column {', '.join(missing)}")
    return given


def options(
    names: tuple[str, ...], kind: pa.DataType
) -> tuple[pa_csv.ReadOptions, pa_csv.ConvertOptions]:
    """Return how to read a file with these columns, all of one type, and nothing as NULL."""
    read = pa_csv.ReadOptions(use_threads=False, skip_rows=1, column_names=list(names))
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, kind), strings_can_be_null=False
    )
    return read, convert


def read_bytes(path: Path, names: tuple[str, ...], rejected: list[Rejected]) -> pa.Table:
    """Return the rows as columns of bytes; rows of the wrong width go to `rejected`.

    Raise UserError for a file that is no CSV.
    """

    def keep(row: pa_csv.InvalidRow) -> str:
        reason = f"{row.actual_columns} columns, not {row.expected_columns}"
        rejected.append(Rejected((row.number or 2) - 2, reason, row.text))
        return "skip"

    read, convert = options(names, pa.binary())
    parse = pa_csv.ParseOptions(invalid_row_handler=keep)
    try:
        return pa_csv.read_csv(path, read, parse, convert)
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pa.table({name: pa.array([], pa.binary()) for name in names})
        raise UserError(f"{path} is not a CSV file: {error}") from error

"""What the readers of CSV files share: headers, columns of bytes, rows of the wrong width."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from config.errors import UserError
from ingestion.replay.batches import Rejected

_BLOCK = 8 << 20


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
    names: tuple[str, ...], kind: pa.DataType, *, header: bool = True
) -> tuple[pa_csv.ReadOptions, pa_csv.ConvertOptions]:
    """Return how to read a file with these columns, all of one type, and nothing as NULL."""
    read = pa_csv.ReadOptions(use_threads=False, skip_rows=int(header), column_names=list(names))
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, kind), strings_can_be_null=False
    )
    return read, convert


def read_bytes(
    path: Path, names: tuple[str, ...], rejected: list[Rejected], *, quoted: bool = False
) -> pa.Table:
    """Return the rows as columns of bytes; rows of the wrong width go to `rejected`.

    `quoted`: a cell may hold a line break.

    Raise UserError for a file that is no CSV.
    """

    def keep(row: pa_csv.InvalidRow) -> str:
        reason = f"{row.actual_columns} columns, not {row.expected_columns}"
        rejected.append(Rejected((row.number or 2) - 2, reason, row.text))
        return "skip"

    read, convert = options(names, pa.binary())
    parse = pa_csv.ParseOptions(invalid_row_handler=keep, newlines_in_values=quoted)
    try:
        return pa_csv.read_csv(path, read, parse, convert)
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return pa.table({name: pa.array([], pa.binary()) for name in names})
        raise UserError(f"{path} is not a CSV file: {error}") from error


def read_text(path: Path, names: tuple[str, ...], rejected: list[Rejected]) -> pd.DataFrame:
    """Return some columns of a CSV file as text, indexed by the number of the row.

    Files that are not UTF-8 are read as Latin-1, as spreadsheets write them. Raise UserError if a
    column is missing.
    """
    given = check_columns(path, names, f"a file with {', '.join(names)}")
    rows = read_bytes(path, given, rejected, quoted=True)
    wrong = np.array([row.row for row in rejected], np.int64)
    numbers = np.setdiff1d(np.arange(len(rows) + len(wrong)), wrong, assume_unique=True)
    columns = {name: text_column(rows.column(name)).to_pylist() for name in names}
    return pd.DataFrame(columns, index=numbers, dtype="str")


def text_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of bytes as text: UTF-8, or Latin-1 if it is not."""
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.chunked_array([[cell.decode("latin-1") for cell in column.to_pylist()]])


def read_typed(path: Path, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return some columns of a CSV file; an empty cell is NULL.

    Raise UserError if a column is missing or a cell does not fit.
    """
    names = check_columns(path, types, f"a file with {', '.join(types)}")
    convert = pa_csv.ConvertOptions(column_types=dict(types), include_columns=[*types])
    read = pa_csv.ReadOptions(use_threads=False, column_names=list(names))
    tables = []
    try:
        for lines in blocks(path):
            tables.append(pa_csv.read_csv(pa.BufferReader(lines), read, None, convert))
    except pa.ArrowInvalid as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
    return pa.concat_tables(tables) if tables else pa.schema(list(types.items())).empty_table()


def blocks(path: Path) -> Iterator[pa.Buffer]:
    """Yield a file's lines after the first, some 8 MB at a time, so that few are in memory.

    No cell may hold a line break. (Arrow's own reader of blocks has a thread that may abort a
    process which ends soon after.)
    """
    with path.open("rb") as file:
        file.readline()
        while piece := file.read(_BLOCK):
            yield pa.py_buffer(piece + file.readline())


def require(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder. Raise UserError if it is not there."""
    if not (folder / name).is_file():
        raise UserError(f"{folder} has no {name}")
    return folder / name

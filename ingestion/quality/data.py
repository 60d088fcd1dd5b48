"""Read a data set's columns, whatever they hold, and say which cells can be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from config.errors import UserError
from ingestion.quality.profiles import Column, names_of
from ingestion.replay.batches import Rejected
from ingestion.shop.files import read_bytes, text_column
from ingestion.shop.online_retail import parse_times

_PATTERNS = {
    "integer": r"^[+-]?[0-9]{1,18}(\.0)?$",
    "millis": r"^[0-9]{1,18}$",
    "number": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$",
}


@dataclass(frozen=True, slots=True)
class Data:
    """A file's rows as columns, and how many lines had another number of cells."""

    path: Path
    table: pa.Table
    torn: list[Rejected]


@dataclass(frozen=True, slots=True)
class Cells:
    """One column's cells: which are empty, which of the others can be read, and what they say.

    `values` holds the readable ones in order: numbers, ms since 1970, or text.
    """

    empty: NDArray[np.bool_]
    readable: NDArray[np.bool_]
    values: NDArray[Any]


def read(path: Path) -> Data:
    """Return the rows of a CSV or parquet file. Raise UserError if it is neither."""
    names = names_of(path)
    if path.suffix == ".parquet":
        try:
            return Data(path, pq.read_table(path), [])
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is not a parquet file: {error}") from error
    torn: list[Rejected] = []
    raw = read_bytes(path, names, torn, quoted=True)
    columns = {name: text_column(raw.column(name)) for name in names}
    return Data(path, pa.table(columns), torn)


def cells(data: Data, column: Column) -> Cells:
    """Return the cells of one column of the data."""
    found = data.table.column(column.name).combine_chunks()
    if pa.types.is_timestamp(found.type):
        found = found.cast(pa.timestamp("ms")).cast(pa.int64())
    if not pa.types.is_string(found.type):
        return _typed(found, column)
    empty = pc.equal(found, "").fill_null(True).to_numpy(zero_copy_only=False)
    if column.kind == "time":
        times = parse_times(pd.Series(found.to_numpy(zero_copy_only=False)))
        readable = times.notna().to_numpy() & ~empty
        moments = times[readable].to_numpy().astype("datetime64[ms]").astype(np.int64)
        return Cells(empty, readable, moments)
    if column.kind not in _PATTERNS:
        return Cells(empty, ~empty, _numpy(found.filter(pa.array(~empty))))
    fits = pc.match_substring_regex(found, _PATTERNS[column.kind]).fill_null(False)
    readable = fits.to_numpy(zero_copy_only=False)
    text = found.filter(fits)
    if column.kind == "millis":
        return Cells(empty, readable, text.cast(pa.int64()).to_numpy())
    return Cells(empty, readable, text.cast(pa.float64()).to_numpy())


def _typed(found: pa.Array, column: Column) -> Cells:
    """Return the cells of a column that has a type of its own, as parquet's have."""
    empty = found.is_null().to_numpy(zero_copy_only=False)
    values = found.drop_null()
    if column.kind in ("id", "label", "text"):
        # An id that went through a column of floats.
        text = pc.replace_substring_regex(values.cast(pa.string()), r"\.0$", "")
        return Cells(empty, ~empty, _numpy(text))
    numbers = values.to_numpy(zero_copy_only=False)
    if column.kind in {"number", "integer"}:
        numbers = numbers.astype(np.float64)
        finite = np.isfinite(numbers)
        readable = ~empty
        readable[readable] = finite
        return Cells(empty, readable, numbers[finite])
    return Cells(empty, ~empty, numbers)


def _numpy(text: pa.Array) -> NDArray[Any]:
    found: NDArray[Any] = text.to_numpy(zero_copy_only=False)
    return found

"""Apply functions of one row to rows that are held in columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def each(
    python: Callable[[Mapping[str, Any]], Any], columns: Mapping[str, Any], count: int
) -> npt.NDArray[np.float64]:
    """Return `python` of each of `count` rows as doubles: NaN for None, 1 for True.

    A column is an array of NumPy or Arrow, or one value for all rows; a NULL of Arrow is None.
    Raise KeyError for a column that `python` reads and that is not there.
    """
    rows = _Cursor(columns)
    values = (python(rows.at(place)) for place in range(count))
    return np.fromiter((math.nan if one is None else one for one in values), np.float64, count)


class _Cursor(Mapping[str, Any]):
    """Step through the rows of columns; a column is made a list when it is first read."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns
        self._lists: dict[str, list[Any]] = {}
        self._place = 0

    def at(self, place: int) -> _Cursor:
        self._place = place
        return self

    def __getitem__(self, name: str) -> Any:
        if name in self._lists:
            return self._lists[name][self._place]
        column = self._columns[name]
        if isinstance(column, np.ndarray):
            self._lists[name] = column.tolist()
        elif isinstance(column, pa.Array | pa.ChunkedArray):
            self._lists[name] = column.to_pylist()
        else:
            return column
        return self._lists[name][self._place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

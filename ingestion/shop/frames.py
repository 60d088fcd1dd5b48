"""Turn a frame of order lines into sorted columns of ShopEvent, and its wrong lines aside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ingestion.replay.batches import Rejected
from ingestion.shop.chunks import Part

PURCHASE, CART, CANCELLATION = "transaction", "addtocart", "cancellation"


class Complaints:
    """The first complaint about each line, if there is one.

    The frame's index holds the numbers of the lines in the source.
    """

    def __init__(self, lines: pd.DataFrame) -> None:
        self._lines = lines
        self._reasons = np.full(len(lines), "", object)

    def where(self, wrong: Any, reason: str) -> None:
        """Complain where `wrong` is true and nothing was said before."""
        self._reasons[np.asarray(wrong, bool) & (self._reasons == "")] = reason

    def parted(self) -> tuple[pd.DataFrame, list[Rejected]]:
        """Return the lines that are right, and the others."""
        right = self._reasons == ""
        wrong = self._lines[~right]
        rejected = [
            Rejected(int(number), reason, ",".join(map(str, row)))
            for number, reason, row in zip(
                wrong.index, self._reasons[~right], wrong.itertuples(index=False), strict=True
            )
        ]
        return self._lines[right], rejected


def events_of(lines: pd.DataFrame, **columns: pd.Series) -> Part:
    """Return the lines as events in order of their column `time`, and their numbers."""
    times = lines["time"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    order = np.argsort(times, kind="stable")
    numbers: NDArray[np.int64] = lines.index.to_numpy().astype(np.int64)[order]
    table = {name: _array(column)[order] for name, column in columns.items()}
    arrays = {name: _arrow(name, column) for name, column in table.items()}
    return pa.table({**arrays, "event_time": pa.array(times[order])}), numbers


def _array(column: pd.Series) -> NDArray[Any]:
    return np.asarray(column)


def _arrow(name: str, column: NDArray[Any]) -> pa.Array:
    if name in ("price", "quantity"):
        return pa.array(column)
    text = pa.array(column, pa.string())
    return text.dictionary_encode() if name == "event_type" else text

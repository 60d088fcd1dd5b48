"""Send what is known of items among the events of a replay."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ingestion.replay.batches import Record
from ingestion.wire.columnar import ColumnEncoder
from ingestion.wire.encode import RecordEncoder

TOPIC = "shop-items"


class Items:
    """The records of a table with the columns of ShopItem, in order of time."""

    def __init__(self, table: pa.Table, encoder: RecordEncoder) -> None:
        self._table, self._encoder = table, ColumnEncoder(encoder)
        self._times = table.column("event_time").to_numpy()
        self._sent = 0

    def until(self, moment: int) -> list[Record]:
        """Return the records due up to `moment` (ms) that were not returned before, in order.

        What the contract refuses is left out.
        """
        end = int(np.searchsorted(self._times, moment, side="right"))
        table = self._table.slice(self._sent, max(0, end - self._sent))
        self._sent = max(self._sent, end)
        rows = zip(
            table.column("item_id").to_pylist(),
            self._encoder.encode(table).to_pylist(),
            table.column("event_time").to_pylist(),
            strict=True,
        )
        return [
            Record(TOPIC, key, value, due, row=False)
            for key, value, due in rows
            if value is not None
        ]


def constant(ids: list[str], categories: list[list[str]], since: int) -> pa.Table:
    """Return items of which nothing changes after `since` (ms).

    `categories` has for each its category and those above it, the nearest first, or nothing.
    """
    return pa.table(
        {
            "item_id": pa.array(ids, pa.string()),
            "event_time": pa.array([since] * len(ids), pa.int64()),
            "category": pa.array([one[0] if one else None for one in categories], pa.string()),
            "ancestors": pa.array([one[1:] for one in categories], pa.list_(pa.string())),
        }
    )

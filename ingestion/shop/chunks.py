"""Turn a source's rows into batches of shop events, by the column.

A source hands on its rows in order of time, in chunks whose boundaries depend on the source alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingestion.replay.batches import Batch, Record, Rejected
from ingestion.wire.columnar import ColumnEncoder
from ingestion.wire.encode import RecordEncoder

TOPIC = "shop-events"
KEY = "user_id"
ROWS_A_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of a source: those that became events, as columns of ShopEvent, and the rejected ones.

    `numbers` has the number in the source (from 0) of each event's row. `leading` is false for a
    further event of a row; None: each row is one event. `rows` counts the source's rows read when
    the chunk ends.
    """

    events: pa.Table
    numbers: NDArray[np.int64]
    rows: int
    rejected: list[Rejected] = field(default_factory=list)
    leading: NDArray[np.bool_] | None = None


Part = tuple[pa.Table, NDArray[np.int64]]
"""Events, and the number of each event's row in the source."""


class Aside(Protocol):
    """Records of another topic that travel among the events, each at its time."""

    def until(self, moment: int) -> list[Record]:
        """Return the records due up to `moment` (ms) that were not returned before, in order."""
        ...


class Nothing:
    """No records aside."""

    def until(self, moment: int) -> list[Record]:
        """Return none."""
        return []


def batches(
    chunks: Iterable[Chunk], encoder: RecordEncoder, aside: Aside | None = None
) -> Iterator[Batch]:
    """Yield each chunk as a batch for the replay."""
    columns, aside = ColumnEncoder(encoder), aside or Nothing()
    for chunk in chunks:
        records, refused = _records(chunk, columns)
        if records:
            records = _merged(aside.until(records[-1].due), records)
        yield Batch(records, [*chunk.rejected, *refused], chunk.rows)


def _records(chunk: Chunk, encoder: ColumnEncoder) -> tuple[list[Record], list[Rejected]]:
    events = chunk.events
    encoded = encoder.encode(events)
    refused = []
    if encoded.null_count:
        places = np.flatnonzero(encoded.is_null().to_numpy(zero_copy_only=False))
        refused = [
            Rejected(
                int(chunk.numbers[place]),
                encoder.refusal(events, int(place)),
                str(events.slice(int(place), 1).to_pylist()[0]),
            )
            for place in places
        ]
    leading = repeat(True) if chunk.leading is None else chunk.leading.tolist()
    rows = zip(
        repeat(TOPIC),
        events.column(KEY).to_pylist(),
        encoded.to_pylist(),
        events.column("event_time").to_pylist(),
        leading,
        strict=False,
    )
    if refused:
        return [Record(*row) for row in rows if row[2] is not None], refused
    # As Record._make does, without a call into Python a row.
    return list(map(partial(tuple.__new__, Record), rows)), refused


def _merged(aside: list[Record], records: list[Record]) -> list[Record]:
    """Return both in order of time; of one moment, what stands aside comes first."""
    if not aside:
        return records
    both = [*aside, *records]
    order = np.argsort([record.due for record in both], kind="stable")
    return [both[place] for place in order.tolist()]


def cut(
    rejected: list[Rejected], events: int, limit: int | None, part: Callable[[int, int], Part]
) -> Iterator[Chunk]:
    """Yield the first `limit` rows of a source: the rejected ones, then its events.

    `part(start, end)` returns these events in order of time, and the numbers of their rows.
    """
    rows = len(rejected) + events
    last = rows if limit is None else min(limit, rows)
    rejected = rejected[:last]
    ends = range(ROWS_A_CHUNK, last + ROWS_A_CHUNK, ROWS_A_CHUNK)
    aside = len(rejected)
    for end in (min(end, last) for end in ends):
        # The rejected rows count as rows of the first chunks.
        start = max(end - 1 - (end - 1) % ROWS_A_CHUNK - aside, 0)
        yield Chunk(*part(start, max(end - aside, 0)), end, rejected)
        rejected = []


def parts(table: pa.Table, numbers: NDArray[np.int64]) -> Callable[[int, int], Part]:
    """Return what `cut` wants of events that are in a table, sorted."""
    return lambda start, end: (table.slice(start, end - start), numbers[start:end])

"""Stream payments and verdicts as rows in columns, as the fraud job reads them.

`domain.fraud.graph` declares what a row holds and `domain.fraud.order` the order of rows; this
module produces the same for a million rows at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from domain.events import FraudLabel, Transaction
from domain.features.declaration import RowFeature
from domain.features.graph import Graph
from domain.fraud.graph import GRAPH
from domain.fraud.order import PAYMENT, VERDICT
from domain.fraud.pipeline import Place, label_row, payment_row
from ingestion.fraud import columns
from ingestion.fraud.simulator import Payment
from orchestration.training.columns import each
from orchestration.training.frame import ROWS_A_CHUNK, Chunk

Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Payments:
    """Payments with the verdict on each, in order of event time: columns of `columns.SCHEMA`."""

    table: pa.Table

    @classmethod
    def of(cls, payments: Iterable[Payment]) -> Payments:
        """Return the payments of a list, which is in order of event time."""
        return cls(columns.table_of(payments))

    def __len__(self) -> int:
        return len(self.table)

    def transactions(self) -> Iterator[Transaction]:
        """Yield each payment's transaction."""
        return columns.transactions(self.table)

    def labels(self, delay_ms: int) -> Iterator[FraudLabel]:
        """Yield the verdict on each, known `delay_ms` after the payment."""
        frauds = (one for chunk in self.table["is_fraud"].chunks for one in chunk.to_pylist())
        for transaction, is_fraud in zip(self.transactions(), frauds, strict=True):
            yield Payment(transaction, int(is_fraud)).label(delay_ms)

    def numbers(self, name: str) -> npt.NDArray[Any]:
        """Return a column of numbers, times or marks."""
        return cast("npt.NDArray[Any]", self.table[name].to_numpy())

    def texts(self, name: str) -> npt.NDArray[np.str_]:
        """Return a column of text."""
        coded = self.table[name].combine_chunks().dictionary_encode()
        names = np.array(coded.dictionary.to_pylist(), dtype=np.str_)
        indices: Ints = coded.indices.to_numpy()
        return names[indices]


def offsets(payments: Payments, delay_ms: int) -> npt.NDArray[np.int64]:
    """Return where each payment stands in the log of payments and verdicts, ascending."""
    return np.flatnonzero(_log(payments, delay_ms) >= len(payments))


def _log(payments: Payments, delay_ms: int) -> npt.NDArray[np.int64]:
    """Return the order of the log: n for the verdict on payment n, count + n for the payment."""
    times = payments.numbers("event_time")
    kinds = np.repeat([VERDICT, PAYMENT], len(payments))
    return np.lexsort((kinds, np.concatenate([times + delay_ms, times])))


def stream(
    payments: Payments, delay_ms: int, schema: pa.Schema, graph: Graph = GRAPH
) -> Iterator[Chunk]:
    """Yield payments and verdicts in order of time, the verdict first at equal times.

    `graph` says what a row holds; `schema` says which columns are wanted.
    """
    table, count = payments.table.combine_chunks(), len(payments)
    order = _log(payments, delay_ms)
    for start in range(0, 2 * count, ROWS_A_CHUNK):
        part = order[start : start + ROWS_A_CHUNK]
        is_payment, sequence = part >= count, part % max(count, 1)
        paid = _rows_of_payments(table, sequence[is_payment], graph)
        judged = _rows_of_verdicts(table, sequence[~is_payment], delay_ms, graph)
        both = pa.concat_tables([_table(judged, schema), _table(paid, schema)]).combine_chunks()
        # Back to the order of the stream, by the positions the rows of each kind went to.
        back = np.empty(len(part), np.int64)
        back[np.argsort(is_payment, kind="stable")] = np.arange(len(part))
        yield Chunk(both.take(pa.array(back)).to_batches()[0], sequence)


Columns = tuple[int, Mapping[str, Any]]
"""The number of rows, and each column as it was made: an array, a value for all rows, or None."""


def _rows_of_payments(table: pa.Table, places: npt.NDArray[np.int64], graph: Graph) -> Columns:
    record = _record(table, places).transaction
    given = payment_row(record, Place(offset=places), graph)
    read = {name: one.values if isinstance(one, Text) else one for name, one in given.items()}
    return len(places), given | {
        row.name: _computed(row, read, len(places)) for row in graph.table.rows
    }


def _computed(row: RowFeature, given: Mapping[str, Any], count: int) -> npt.NDArray[Any]:
    values = each(row.python, given, count)
    return values.astype(np.int64) if row.type == "BIGINT" else values


def _rows_of_verdicts(
    table: pa.Table, places: npt.NDArray[np.int64], delay_ms: int, graph: Graph
) -> Columns:
    return len(places), label_row(_record(table, places).label(delay_ms), graph=graph)


def _record(table: pa.Table, places: npt.NDArray[np.int64]) -> Payment:
    """Return the payments at `places` as one whose fields are columns."""
    taken = table.take(pa.array(places))
    fields = {
        name: Text(taken[name])
        if pa.types.is_string(taken.schema.field(name).type)
        else taken[name].to_numpy()
        for name in columns.FIELDS
    }
    transaction = cast("Transaction", SimpleNamespace(**fields))
    return Payment(transaction, cast("int", taken["is_fraud"].to_numpy()))


@dataclass(frozen=True, slots=True)
class Text:
    """A column of text, to which a prefix may be added."""

    values: pa.ChunkedArray

    def __radd__(self, text: str) -> Text:
        return Text(pc.binary_join_element_wise(text, self.values, ""))


def _table(made: Columns, schema: pa.Schema) -> pa.Table:
    count, values = made
    return pa.table(
        {field.name: _array(values[field.name], count, field.type) for field in schema},
        schema=schema,
    )


def _array(value: Any, count: int, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if isinstance(value, Text):
        return value.values
    if isinstance(value, np.ndarray):
        return pa.array(value, kind)
    return pa.nulls(count, kind) if value is None else pa.repeat(pa.scalar(value, kind), count)

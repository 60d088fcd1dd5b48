"""Hold payments as columns, so that training on a million needs no object for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple, fields

import pyarrow as pa
import pyarrow.compute as pc

from domain.events import Transaction
from ingestion.fraud.simulator import Payment
from ingestion.wire.encode import EARLIEST_MS, LATEST_MS

FIELDS = tuple(field.name for field in fields(Transaction))
SCHEMA = pa.schema(
    {
        "transaction_id": pa.string(),
        "event_time": pa.int64(),
        "customer_id": pa.string(),
        "terminal_id": pa.string(),
        "amount": pa.float64(),
        "is_fraud": pa.bool_(),
    }
)
_CHUNK = 50_000


def table_of(payments: Iterable[Payment]) -> pa.Table:
    """Return the payments as columns of `SCHEMA`, in their order."""
    rows = [(*astuple(payment.transaction), payment.is_fraud) for payment in payments]
    named = dict(zip((*FIELDS, "is_fraud"), zip(*rows, strict=True), strict=True)) if rows else {}
    arrays = {field.name: pa.array(named.get(field.name, ()), field.type) for field in SCHEMA}
    return pa.table(arrays, schema=SCHEMA)


def transactions(table: pa.Table) -> Iterator[Transaction]:
    """Yield the payments' transactions, made one after the other."""
    for batch in table.select(FIELDS).to_batches(max_chunksize=_CHUNK):
        for row in batch.to_pylist():
            yield Transaction(**row)


def plain(given: Mapping[str, pa.ChunkedArray]) -> pa.Table | None:
    """Return the handbook's columns as those of `SCHEMA`; None if a row needs a closer look.

    `given` has the handbook's names, times in ms where they are whole numbers. A row needs a closer
    look if it may be rejected or has a rare type: the row-by-row reader then decides.
    """
    checked = {
        "transaction_id": _identifiers(given["transaction_id"]),
        "event_time": _times(given["tx_datetime"]),
        "customer_id": _identifiers(given["customer_id"]),
        "terminal_id": _identifiers(given["terminal_id"]),
        "amount": _amounts(given["tx_amount"]),
        "is_fraud": _verdicts(given["tx_fraud"]),
    }
    if any(column is None for column in checked.values()):
        return None
    return pa.table(checked, schema=SCHEMA)


def _checked(
    column: pa.ChunkedArray, fits: Callable[[pa.ChunkedArray], pa.ChunkedArray]
) -> pa.ChunkedArray | None:
    """Return the column if it has no NULL and every value fits, else None."""
    if column.null_count or not pc.all(fits(column), min_count=0).as_py():
        return None
    return column


def _identifiers(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type)):
        return None
    return _checked(column.cast(pa.string()), lambda text: pc.greater(pc.binary_length(text), 0))


def _times(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    if not pa.types.is_int64(column.type):
        return None
    return _checked(
        column,
        lambda time: pc.and_(pc.greater_equal(time, EARLIEST_MS), pc.less_equal(time, LATEST_MS)),
    )


def _amounts(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    if column.type not in (pa.float64(), pa.float32()):
        return None
    return _checked(column.cast(pa.float64()), pc.is_finite)


def _verdicts(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    if not pa.types.is_integer(column.type):
        return None
    whole = _checked(column, lambda verdict: pc.is_in(verdict, pa.array([0, 1], column.type)))
    return None if whole is None else pc.equal(whole, pa.scalar(1, column.type))

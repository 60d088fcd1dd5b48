"""Write simulated payments as a file with the Fraud Detection Handbook's columns, truth included.

`ingestion.fraud.handbook` reads it as it reads the published ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from config.errors import UserError
from ingestion.fraud.simulator import Payment

SCHEMA = pa.schema(
    {
        "TRANSACTION_ID": pa.string(),
        "TX_DATETIME": pa.timestamp("ms"),
        "CUSTOMER_ID": pa.string(),
        "TERMINAL_ID": pa.string(),
        "TX_AMOUNT": pa.float64(),
        "TX_FRAUD": pa.int64(),
        "TX_FRAUD_SCENARIO": pa.int64(),
    }
)
SUFFIXES = (".parquet", ".csv")


def write(path: Path, days: Iterable[list[Payment]], *, overwrite: bool = False) -> int:
    """Write the payments of each day, parquet or CSV by the file's name; return their number.

    The file appears when it is whole. Raise UserError for another suffix, or if the file is there
    and `overwrite` is false.
    """
    check(path, SUFFIXES, overwrite=overwrite)
    draft = path.with_name(f".{path.name}.draft")
    rows = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _writer(draft, path.suffix) as writer:
            for payments in days:
                writer.write_table(_table(payments))
                rows += len(payments)
        draft.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return rows


def check(path: Path, suffixes: Sequence[str], *, overwrite: bool) -> None:
    """Raise UserError for a name with another suffix, and for a file that must not be replaced."""
    if path.suffix not in suffixes:
        raise UserError(f"{path}: the file's name must end in {' or '.join(suffixes)}")
    if path.exists() and not overwrite:
        raise UserError(f"{path} is there already: --overwrite replaces it")


def _writer(path: Path, suffix: str) -> pq.ParquetWriter | csv.CSVWriter:
    return pq.ParquetWriter(path, SCHEMA) if suffix == ".parquet" else csv.CSVWriter(path, SCHEMA)


def _table(payments: list[Payment]) -> pa.Table:
    rows = [
        (
            one.transaction.transaction_id,
            one.transaction.event_time,
            one.transaction.customer_id,
            one.transaction.terminal_id,
            one.transaction.amount,
            int(one.is_fraud),
            one.scenario,
        )
        for one in payments
    ]
    columns = zip(*rows, strict=True) if rows else ([] for _ in SCHEMA)
    return pa.table(
        [pa.array(list(column), field.type) for column, field in zip(columns, SCHEMA, strict=True)],
        schema=SCHEMA,
    )

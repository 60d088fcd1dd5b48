"""Where training data come from: the Fraud Detection Handbook's public files, or the simulator made after it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from config.errors import UserError
from domain.events import FraudLabel, Transaction
from ingestion.simulator import simulation
from orchestration.training.fraud import Data

DAY_MS = 86_400_000
HANDBOOK_DELAY_MS = 7 * DAY_MS
COLUMNS = ("transaction_id", "tx_datetime", "customer_id", "terminal_id", "tx_amount", "tx_fraud")


def handbook(path: Path, rows: int | None = None, delay_ms: int = HANDBOOK_DELAY_MS) -> Data:
    """The handbook's columns (any case) from a parquet file; a verdict becomes known `delay_ms` after the payment.

    `rows`: a trial on about so many. Whole customers are taken, over the whole time, so their histories stay complete;
    terminals see fewer payments than they would.
    """
    table = _read(path)
    if rows is not None and rows < table.num_rows:
        table = table.filter(pa.array(_some(table["customer_id"], rows / table.num_rows)))
    table = table.sort_by([("tx_datetime", "ascending"), ("transaction_id", "ascending")])
    transactions = _transactions(table)
    fraud = [bool(value) for value in table["tx_fraud"].to_pylist()]
    return Data(transactions, verdicts(transactions, fraud, delay_ms), delay_ms, path.name)


def simulated(days: int, customers: int, seed: int, delay_ms: int = HANDBOOK_DELAY_MS) -> Data:
    """The simulator's payments: two terminals a customer, as many of them in reach as in the handbook's own setting."""
    terminals = 2 * customers
    radius = 5.0 * math.sqrt(10_000 / terminals)
    simulator = simulation(seed, customers=customers, terminals=terminals, radius=radius)
    payments = list(chain.from_iterable(simulator.day() for _ in range(days)))
    transactions = [payment.transaction for payment in payments]
    fraud = [payment.is_fraud for payment in payments]
    source = f"simulation of {days} days, {customers} customers, seed {seed}"
    return Data(transactions, verdicts(transactions, fraud, delay_ms), delay_ms, source)


def verdicts(transactions: Sequence[Transaction], fraud: Sequence[bool], delay_ms: int) -> list[FraudLabel]:
    """A verdict on every payment, `delay_ms` after it."""
    return [
        FraudLabel(
            transaction_id=payment.transaction_id,
            event_time=payment.event_time + delay_ms,
            customer_id=payment.customer_id,
            terminal_id=payment.terminal_id,
            is_fraud=known,
        )
        for payment, known in zip(transactions, fraud, strict=True)
    ]


def _read(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} is not a readable parquet file: {error}") from error
    table = table.rename_columns([name.lower() for name in table.column_names])
    absent = [name for name in COLUMNS if name not in table.column_names]
    if absent:
        raise UserError(f"{path} lacks the columns {', '.join(absent)}")
    return table.select(list(COLUMNS))


def _some(customers: pa.ChunkedArray, share: float) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The rows of a share of the customers, always the same ones: by a hash of their id."""
    encoded = pc.dictionary_encode(customers.combine_chunks())
    hashes = np.array([zlib.crc32(str(value).encode()) for value in encoded.dictionary.to_pylist()])
    mask: np.ndarray[tuple[int], np.dtype[np.bool_]] = (hashes < share * 2**32)[encoded.indices.to_numpy()]
    return mask


def _transactions(table: pa.Table) -> list[Transaction]:
    times = pc.cast(table["tx_datetime"], pa.timestamp("ms"), safe=False).cast(pa.int64()).to_pylist()
    rest = [table[name].to_pylist() for name in ("transaction_id", "customer_id", "terminal_id", "tx_amount")]
    return [
        Transaction(
            transaction_id=str(transaction),
            event_time=time,
            customer_id=str(customer),
            terminal_id=str(terminal),
            amount=float(amount),
        )
        for time, transaction, customer, terminal, amount in zip(times, *rest, strict=True)
    ]

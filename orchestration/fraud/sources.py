"""Provide training data.

They come from the Fraud Detection Handbook's public files, or from the simulator modelled on it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from config.errors import UserError
from ingestion.fraud.columns import SCHEMA
from ingestion.fraud.handbook import Handbook
from ingestion.fraud.simulator import Strikes, reach, simulation
from ingestion.replay.batches import Rejected
from orchestration.fraud.payments import Payments
from orchestration.fraud.train import Data

log = structlog.get_logger(__name__)

DAY_MS = 86_400_000
HANDBOOK_DELAY_MS = 7 * DAY_MS


def handbook(
    path: Path,
    rows: int | None = None,
    delay_ms: int = HANDBOOK_DELAY_MS,
    progress: Callable[[int], None] = lambda _: None,
) -> Data:
    """Read the handbook's files: the same payments, row by row, that `millrace replay` reads.

    Verdicts are known `delay_ms` after payments. `rows` limits a trial to about that many: it takes
    whole customers, over the whole time, so their histories stay complete, while terminals see
    fewer payments than they would. Rows that a replay would reject are left out, counted and
    logged. `progress` is called with the number of rows read. Raise UserError for files that cannot
    be read or hold no verdicts.
    """
    source = Handbook(path)
    if not source.labelled:
        raise UserError(f"{path} has no column tx_fraud: there is nothing to learn from")
    tables: list[pa.Table] = [SCHEMA.empty_table()]
    total = rejected = 0
    first: Rejected | None = None
    for chunk in source.chunks():
        tables.append(chunk.payments)
        rejected += len(chunk.rejected)
        first = first or next(iter(chunk.rejected), None)
        total += len(chunk.payments) + len(chunk.rejected)
        progress(total)
    if first is not None:
        log.warning(
            "rows that are not payments are left out",
            rows=rejected,
            path=str(path),
            first=first.row,
            reason=first.reason,
        )
    payments = _some(pa.concat_tables(tables), rows, total)
    return Data(Payments(_in_order(payments)), delay_ms, path.name, rejected)


def scenarios(path: Path, data: Data) -> npt.NDArray[np.int64]:
    """Return the scenario of each payment of `data`, which was read from `path`.

    Raise UserError for files without the column.
    """
    given = Handbook(path).scenarios()
    if given is None:
        raise UserError(f"{path} has no column TX_FRAUD_SCENARIO: leave --bound out")
    ids = data.payments.table["transaction_id"].combine_chunks()
    at = pc.index_in(ids, given["transaction_id"].combine_chunks())
    numbers: npt.NDArray[np.int64] = given["scenario"].combine_chunks().take(at).to_numpy()
    return numbers


def simulated(
    days: int,
    customers: int,
    seed: int,
    delay_ms: int = HANDBOOK_DELAY_MS,
    strikes: float = 1.0,
) -> Data:
    """Return the simulator's payments.

    There are two terminals per customer, as many of them in reach as in the handbook's own setting;
    `strikes` scales its share of struck terminals and customers.
    """
    terminals = 2 * customers
    rates = Strikes.of(customers, terminals, strikes)
    simulator = simulation(
        seed, customers=customers, terminals=terminals, radius=reach(terminals), strikes=rates
    )
    payments = chain.from_iterable(simulator.day() for _ in range(days))
    source = f"simulation of {days} days, {customers} customers, {strikes:g} strikes, seed {seed}"
    return Data(Payments.of(payments), delay_ms, source)


def _in_order(payments: pa.Table) -> pa.Table:
    """Order by time. Equal times keep the file's order, which is that of a replay."""
    times = payments["event_time"].to_numpy()
    if (times[1:] >= times[:-1]).all():
        return payments
    return payments.take(pa.array(np.argsort(times, kind="stable")))


def _some(payments: pa.Table, rows: int | None, total: int) -> pa.Table:
    """Return the payments of some customers, always the same ones: by a hash of their id."""
    if rows is None:
        return payments
    bound = rows / max(total, 1) * 2**32
    customers = payments["customer_id"].combine_chunks().dictionary_encode()
    taken = [zlib.crc32(name.encode()) < bound for name in customers.dictionary.to_pylist()]
    return payments.filter(pa.array(taken, pa.bool_()).take(customers.indices))

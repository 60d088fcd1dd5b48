"""Where training data come from.

The Fraud Detection Handbook's public files, or the simulator made after it.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from config.errors import UserError
from ingestion.fraud.handbook import Handbook
from ingestion.fraud.simulator import Payment, Strikes, simulation
from ingestion.replay.batches import Rejected
from orchestration.training.fraud import Data

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
HANDBOOK_DELAY_MS = 7 * DAY_MS


def handbook(path: Path, rows: int | None = None, delay_ms: int = HANDBOOK_DELAY_MS) -> Data:
    """The handbook's files, row by row as `millrace replay` reads them.

    Verdicts are known `delay_ms` after payments.

    `rows`: a trial on about so many. Whole customers are taken, over the whole time, so their
    histories stay complete; terminals see fewer payments than they would. Rows that a replay would
    reject are left out, counted, and told in the log. Raises UserError for files that cannot be
    read or hold no verdicts.
    """
    source = Handbook(path)
    if not source.labelled:
        raise UserError(f"{path} has no column tx_fraud: there is nothing to learn from")
    usable = _Usable(source)
    payments = list(_some(usable, source, rows))
    # Equal times keep the file's order, which is that of a replay.
    payments.sort(key=lambda payment: payment.transaction.event_time)
    if usable.first is not None:
        told = usable.rejected, path, usable.first.row, usable.first.reason
        log.warning("%d rows of %s are no payments, the first: row %d, %s", *told)
    return _data(payments, delay_ms, path.name, usable.rejected)


def simulated(days: int, customers: int, seed: int, delay_ms: int = HANDBOOK_DELAY_MS) -> Data:
    """The simulator's payments.

    Two terminals a customer, as many of them in reach as in the handbook's own setting.
    """
    terminals = 2 * customers
    radius = 5.0 * math.sqrt(10_000 / terminals)
    simulator = simulation(
        seed, customers=customers, terminals=terminals, radius=radius, strikes=Strikes()
    )
    payments = list(chain.from_iterable(simulator.day() for _ in range(days)))
    return _data(
        payments, delay_ms, f"simulation of {days} days, {customers} customers, seed {seed}"
    )


def _data(payments: list[Payment], delay_ms: int, source: str, rejected: int = 0) -> Data:
    transactions = [payment.transaction for payment in payments]
    return Data(
        transactions, [payment.label(delay_ms) for payment in payments], delay_ms, source, rejected
    )


@dataclass(slots=True)
class _Usable:
    """The payments of a source; how many rows are none, and the first of these."""

    source: Handbook
    rejected: int = 0
    first: Rejected | None = None

    def __iter__(self) -> Iterator[Payment]:
        for row in self.source:
            if isinstance(row, Payment):
                yield row
                continue
            self.rejected += 1
            self.first = self.first or row


def _some(payments: Iterable[Payment], source: Handbook, rows: int | None) -> Iterable[Payment]:
    """The payments of a share of the customers, always the same ones: by a hash of their id."""
    if rows is None:
        return payments
    total = source.count() or sum(1 for _ in source)
    bound = rows / max(total, 1) * 2**32
    return (
        payment
        for payment in payments
        if zlib.crc32(payment.transaction.customer_id.encode()) < bound
    )

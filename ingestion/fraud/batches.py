"""Payments and verdicts as batches to replay."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from ingestion.fraud.simulator import DAY_MS, WEEK_MS, Payment
from ingestion.replay.batches import Batch, Record, Rejected
from ingestion.wire.encode import RecordEncoder, RefusedError

TRANSACTIONS, LABELS = "transactions", "transaction-labels"


@dataclass(frozen=True, slots=True)
class _Due:
    """A verdict's record, and when it becomes known (ms)."""

    time: int
    record: Record


@dataclass(frozen=True, slots=True)
class FraudEncoders:
    """Encoders of the two topics a payment becomes."""

    transaction: RecordEncoder
    label: RecordEncoder


class PaymentBatches:
    """Payments and verdicts as batches, one a day (UTC).

    Verdicts run a day ahead: those that become known on a day are all acknowledged before the first
    payment of that day is sent. Windows cut time in tiles of at most a day, so every run sees the
    same, whichever topic is read faster (docs/rolling.md, Tiles; docs/decisions/0006). That holds
    for `delay_ms` of a day or more.
    """

    def __init__(
        self, encoders: FraudEncoders, delay_ms: int = WEEK_MS, *, labels: bool = True
    ) -> None:
        self._encoders, self._delay, self._labels = encoders, delay_ms, labels
        self._lead = min(DAY_MS, delay_ms)

    def of(self, rows: Iterable[Payment | Rejected], limit: int | None = None) -> Iterator[Batch]:
        """Batches of the first `limit` rows (all if None).

        Memory: a day of payments, `delay_ms` worth of verdicts.

        Verdicts due after the last payment are left out: nobody could use them.
        """
        batch, today = Batch(), -1
        verdicts: deque[_Due] = deque()
        for number, row in enumerate(islice(rows, limit)):
            if isinstance(row, Rejected):
                batch.rejected.append(row)
            else:
                now = row.transaction.event_time
                if (day := now // DAY_MS) > today:
                    self._send_verdicts(batch, verdicts, day * DAY_MS - 1)
                    if batch.rows:
                        yield batch
                    batch, today = Batch(), day
                self._send_verdicts(batch, verdicts, now)
                self._send_payment(batch, verdicts, number, row)
            batch.rows = number + 1
        if batch.rows:
            yield batch

    def _send_verdicts(self, batch: Batch, verdicts: deque[_Due], now: int) -> None:
        while verdicts and verdicts[0].time - self._lead <= now:
            batch.records.append(verdicts.popleft().record)

    def _send_payment(
        self, batch: Batch, verdicts: deque[_Due], number: int, payment: Payment
    ) -> None:
        transaction = payment.transaction
        try:
            value = self._encoders.transaction.object(transaction)
            verdict = self._verdict(payment) if self._labels else None
        except RefusedError as error:
            batch.rejected.append(Rejected(number, str(error), str(transaction)))
            return
        batch.records.append(
            Record(TRANSACTIONS, transaction.customer_id, value, transaction.event_time)
        )
        if verdict is not None:
            verdicts.append(verdict)

    def _verdict(self, payment: Payment) -> _Due:
        label = payment.label(self._delay)
        return _Due(
            label.event_time,
            Record(LABELS, label.terminal_id, self._encoders.label.object(label), None),
        )

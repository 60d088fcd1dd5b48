"""Cut payments and verdicts into batches to replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Self

from domain.fraud.order import Waiting
from ingestion.fraud.simulator import DAY_MS, WEEK_MS, Payment
from ingestion.replay.batches import Batch, Record, Rejected
from ingestion.wire.codec import Codec
from ingestion.wire.encode import RecordEncoder, RefusedError

TRANSACTIONS, LABEL = "transactions", "FraudLabel"


@dataclass(frozen=True, slots=True)
class FraudEncoders:
    """Encoders of the two records of `transactions`."""

    transaction: RecordEncoder
    label: RecordEncoder

    @classmethod
    def of(cls, codec: Codec) -> Self:
        """Return the encoders of a codec. Raise RetryableError if the registry is away."""
        return cls(codec.encoder(TRANSACTIONS), codec.encoder(TRANSACTIONS, LABEL))


class PaymentBatches:
    """Payments and verdicts as batches of one log, one per day of payments (UTC).

    A verdict stands where it becomes known, `delay_ms` after its payment: before the first payment
    of that moment or later. So no reader of the log sees it earlier (docs/decisions/0008).
    """

    def __init__(
        self, encoders: FraudEncoders, delay_ms: int = WEEK_MS, *, labels: bool = True
    ) -> None:
        self._encoders, self._delay, self._labels = encoders, delay_ms, labels

    def of(self, rows: Iterable[Payment | Rejected], limit: int | None = None) -> Iterator[Batch]:
        """Yield batches of the first `limit` rows (all if None).

        Memory: a day of payments and `delay_ms` worth of verdicts. Verdicts due after the last
        payment are left out: no payment could use them.
        """
        batch, today = Batch(), -1
        verdicts: Waiting[Record] = Waiting(_due)
        for number, row in enumerate(islice(rows, limit)):
            if isinstance(row, Rejected):
                batch.rejected.append(row)
            else:
                now = row.transaction.event_time
                if (day := now // DAY_MS) > today:
                    if batch.rows:
                        yield batch
                    batch, today = Batch(), day
                batch.records += verdicts.due(now)
                self._add_payment(batch, verdicts, number, row)
            batch.rows = number + 1
        if batch.rows:
            yield batch

    def _add_payment(
        self, batch: Batch, verdicts: Waiting[Record], number: int, payment: Payment
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
            verdicts.add(verdict)

    def _verdict(self, payment: Payment) -> Record:
        label = payment.label(self._delay)
        value = self._encoders.label.object(label)
        return Record(TRANSACTIONS, label.customer_id, value, label.event_time, row=False)


def _due(record: Record) -> int:
    return record.due

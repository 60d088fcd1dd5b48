"""Take verdicts: transaction-labels in, the log of the payments out, and each verdict into Redis.

Others may send verdicts to a topic of their own, at any time and with any key. Appended to
`transactions` under the key of their payment, they get a place among the payments, and a payment
sees the verdicts that stand before it. At least once: the job recognises a verdict by its
transaction and time, so one that is forwarded twice changes nothing.

A verdict counts once it stands in that log, whoever wrote it there, and from there it is kept for
look-ups. What is not a verdict, or cannot be read, is the job's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from config.settings import Settings
from domain.features.declaration import DAY
from serving.consumers.product import Incoming, Output, Product, Result
from serving.consumers.run import run
from serving.fraud import keys

LABELS, LOG, VERDICT = "transaction-labels", "transactions", "FraudLabel"


class Forwarder(Product):
    """Verdicts from elsewhere, and those of the log, kept for `kept_ms` (None: for good).

    One dated more than `ahead_ms` after Kafka's timestamp of it is refused by the job, and so not
    kept.
    """

    name = "fraud-verdicts"
    topics = (LABELS, LOG)
    only: Mapping[str, str] = {LOG: VERDICT}

    def __init__(self, kept_ms: int | None = None, ahead_ms: int = DAY) -> None:
        self._kept_ms, self._ahead_ms = kept_ms, ahead_ms

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Return, in order, a record of `transactions` or a write per verdict."""
        return [self._kept(row) if row.topic == LOG else _forwarded(row) for row in batch]

    def _kept(self, row: Incoming) -> Result:
        if row.record["event_time"] > row.timestamp + self._ahead_ms:
            return Result()
        return Result((keys.judged(row.record, row.offset, self._kept_ms),), origin=row.timestamp)


def _forwarded(row: Incoming) -> Result:
    output = Output(LOG, row.record["customer_id"], row.record, schema=VERDICT)
    return Result(outputs=(output,), origin=row.timestamp)


def make(configured: Settings) -> Forwarder:
    """Return the product with the deployment's limits."""
    return Forwarder(configured.decisions_kept_days * DAY, configured.event_ahead_ms)


if __name__ == "__main__":
    run(Forwarder.name, make)

"""The fraud job in plain Python, for training frames.

Composed as processing/jobs/fraud_features.py is.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from domain.events import FraudLabel, Transaction
from domain.features.reference import Rolling
from domain.fraud.features import CUSTOMER, FRAUD, ROWS, TERMINAL

Row = dict[str, Any]


VERDICT, PAYMENT = range(2)
"""What comes first at equal times."""


def payment_row(transaction: Transaction, sequence: Any = 0, produced_at: Any = 0) -> Row:
    """Return a transaction as it is fed to `rolling`, without row features: times in ms.

    Of a record whose fields are columns, as of one whose fields are values: so it has no branch.
    """
    return {
        "kind": "transaction",
        "event_id": transaction.transaction_id,
        "transaction_id": transaction.transaction_id,
        "event_time": transaction.event_time,
        "customer_id": transaction.customer_id,
        "terminal_id": transaction.terminal_id,
        "amount": transaction.amount,
        "is_fraud": None,
        "sequence": sequence,
        "produced_at": produced_at,
    }


def transaction_row(transaction: Transaction, sequence: int = 0, produced_at: int = 0) -> Row:
    """Return a transaction as it is fed to `rolling`: times in ms, row features added."""
    row = payment_row(transaction, sequence, produced_at)
    return row | {feature.name: feature.python(row) for feature in ROWS}


def label_row(label: FraudLabel) -> Row:
    """Return a verdict as it is fed to the terminal's `rolling`; its time is when it became known.

    Its fields may be columns, as in `payment_row`.
    """
    return {
        "kind": "label",
        "event_id": "label/" + label.transaction_id,
        "transaction_id": label.transaction_id,
        "event_time": label.event_time,
        "customer_id": label.customer_id,
        "terminal_id": label.terminal_id,
        "amount": None,
        "is_fraud": label.is_fraud,
        "sequence": None,
        "produced_at": None,
        **{feature.name: None for feature in ROWS},
    }


def feature_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `fraud-features` record (FraudFeatures.avsc) of a row with both feature sets."""
    out = {
        **row,
        **FRAUD.derive(row),
        "late": row[CUSTOMER.late] or row[TERMINAL.late],
        "feature_set_version": FRAUD.version,
    }
    return {name: out[name] for name in _COLUMNS}


_COLUMNS = tuple(dict.fromkeys([*(field["name"] for field in FRAUD.carried), *FRAUD.model]))


class FraudPipeline:
    """Transactions and verdicts in, in the order they arrive.

    A feature row for each new transaction out.
    """

    def __init__(self) -> None:
        self._customers = Rolling(CUSTOMER)
        self._terminals = Rolling(TERMINAL)

    def transaction(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """The feature row of a `transaction_row`; None for a duplicate."""
        for rolling, declared in ((self._customers, CUSTOMER), (self._terminals, TERMINAL)):
            out = rolling.process(declared.key_of(row), row)
            if out is None or out[declared.duplicate]:
                return None
            row = out
        return feature_row(row)

    def label(self, row: Mapping[str, Any]) -> None:
        """Learn from a `label_row`."""
        self._terminals.process(TERMINAL.key_of(row), row)


def feature_rows(
    transactions: Iterable[Transaction], labels: Iterable[FraudLabel]
) -> Iterator[dict[str, Any]]:
    """Feature rows of all transactions, in their order, with the verdicts known by then.

    Both inputs are in order of event_time; at the same time the verdict comes first, as in the job.
    """
    pipeline = FraudPipeline()
    rows = enumerate(transactions)
    payments = (
        (payment.event_time, PAYMENT, transaction_row(payment, sequence))
        for sequence, payment in rows
    )
    verdicts = ((verdict.event_time, VERDICT, label_row(verdict)) for verdict in labels)
    for _, kind, row in heapq.merge(verdicts, payments, key=lambda item: item[:2]):
        if kind == VERDICT:
            pipeline.label(row)
        elif (out := pipeline.transaction(row)) is not None:
            yield out

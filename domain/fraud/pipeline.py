"""Specify the fraud job in plain Python, and compute the feature vectors of a live job again.

Composed as processing/jobs/fraud_features.py is: rows of both kinds, in the order of the log, pass
through `rolling(customer)` and then `rolling(terminal)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from domain.events import FraudLabel, Transaction
from domain.features.reference import Rolling
from domain.fraud.features import CUSTOMER, FRAUD, ROWS, TERMINAL
from domain.fraud.order import log_order

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """The position of a record in its topic, and Kafka's timestamp of it (ms).

    The fields are columns where the record's fields are columns.
    """

    partition: Any = 0
    offset: Any = 0
    timestamp: Any = 0

    def columns(self) -> Row:
        """Return the columns that a row carries of its position."""
        return {
            "partition": self.partition,
            "sequence": self.offset,
            "order_partition": self.partition,
            "order_sequence": self.offset,
            "produced_at": self.timestamp,
        }


_NOWHERE = Place()


def payment_row(transaction: Transaction, place: Place = _NOWHERE) -> Row:
    """Return a transaction as `rolling` takes it, without row features; times in ms.

    The record's fields may be columns as well as values, so the function must not branch on them.
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
        **place.columns(),
    }


def label_row(label: FraudLabel, place: Place = _NOWHERE) -> Row:
    """Return a verdict as `rolling` takes it; its time is when it became known.

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
        **place.columns(),
        **{feature.name: None for feature in ROWS},
    }


def row_of(event: Transaction | FraudLabel, place: Place = _NOWHERE) -> Row:
    """Return an event of the log as the job feeds it to `rolling`; `place` is in `transactions`."""
    if isinstance(event, FraudLabel):
        return label_row(event, place)
    row = payment_row(event, place)
    return row | {feature.name: feature.python(row) for feature in ROWS}


def feature_row(row: Mapping[str, Any]) -> Row:
    """Return the `fraud-features` record (FraudFeatures.avsc) of a row with both feature sets."""
    out = {
        **row,
        **FRAUD.derive(row),
        "late": row[CUSTOMER.late] or row[TERMINAL.late],
        "feature_set_version": FRAUD.version,
    }
    return {name: out[name] for name in _COLUMNS}


_COLUMNS = tuple(dict.fromkeys([*(field["name"] for field in FRAUD.carried), *FRAUD.model]))


class Customers:
    """The first half of the job: add the features of each payment's customer."""

    def __init__(self) -> None:
        self._rolling = Rolling(CUSTOMER)

    def process(self, row: Mapping[str, Any]) -> Row | None:
        """Return a payment with its customer's features, a verdict unchanged.

        Return None for a repeated payment.
        """
        out = self._rolling.process(CUSTOMER.key_of(row), row)
        return None if out is None or out[CUSTOMER.duplicate] else out


class Terminals:
    """The second half of the job: add the features of the terminal and build the feature record."""

    def __init__(self) -> None:
        self._rolling = Rolling(TERMINAL)

    def process(self, row: Mapping[str, Any]) -> Row | None:
        """Return the feature row of a payment that left `Customers`.

        Return None for a verdict, which only updates the terminal, and for a repeated payment.
        """
        out = self._rolling.process(TERMINAL.key_of(row), row)
        return None if out is None or out[TERMINAL.duplicate] else feature_row(out)


class FraudPipeline:
    """Turn payments and verdicts, in the order of the log, into a feature row per new payment."""

    def __init__(self) -> None:
        self._customers, self._terminals = Customers(), Terminals()

    def process(self, row: Mapping[str, Any]) -> Row | None:
        """Return the feature row of a payment's `row_of`; None for a verdict and for a repeat."""
        out = self._customers.process(row)
        return None if out is None else self._terminals.process(out)


def feature_rows(
    transactions: Iterable[Transaction], labels: Iterable[FraudLabel]
) -> Iterator[Row]:
    """Yield the feature rows of all payments, in their order, with the verdicts known by then.

    Both inputs are in order of event_time and are merged as a replay merges them. The offsets
    carried are those that a replay into an empty log would give.
    """
    pipeline = FraudPipeline()
    for offset, event in enumerate(log_order(transactions, labels)):
        if (out := pipeline.process(row_of(event, Place(offset=offset)))) is not None:
            yield out

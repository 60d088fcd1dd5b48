"""Specify the fraud job in plain Python, and compute the feature vectors of a live job again.

The graph of both is declared in domain/fraud/graph.py: rows of payments and verdicts, in the order
of the log, pass through the feature sets of the customer and the pair, then the terminal's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from domain.events import FraudLabel, Transaction
from domain.features.graph import NOWHERE, Graph, Place, Row, Source
from domain.features.twin import Stages, Twin
from domain.fraud.features import TERMINAL_LOG
from domain.fraud.graph import GRAPH, PAYMENT, VERDICT
from domain.fraud.order import log_order

__all__ = [
    "Customers",
    "FraudPipeline",
    "Place",
    "Terminals",
    "feature_rows",
    "label_row",
    "payment_row",
    "row_of",
]


def payment_row(transaction: Transaction, place: Place = NOWHERE, graph: Graph = GRAPH) -> Row:
    """Return a transaction as `rolling` takes it, without row features; times in ms.

    The record's fields may be columns as well as values.
    """
    return graph.given(PAYMENT.record, _fields(transaction, PAYMENT), place)


def label_row(label: FraudLabel, place: Place = NOWHERE, graph: Graph = GRAPH) -> Row:
    """Return a verdict as `rolling` takes it; its time is when it became known.

    Its fields may be columns, as in `payment_row`.
    """
    return graph.given(VERDICT.record, _fields(label, VERDICT), place)


def row_of(event: Transaction | FraudLabel, place: Place = NOWHERE, graph: Graph = GRAPH) -> Row:
    """Return an event of the log as the job feeds it to `rolling`; `place` is in `transactions`."""
    source = VERDICT if isinstance(event, FraudLabel) else PAYMENT
    return graph.row(source.record, _fields(event, source), place)


def _fields(event: Transaction | FraudLabel, source: Source) -> Row:
    return {name: getattr(event, name) for name in source.fields}


class Customers(Stages):
    """The first half of the job: add the features of a payment's customer, and of the pair.

    A verdict passes too, with those of the pair; a repeated payment does not.
    """

    def __init__(self) -> None:
        super().__init__(TERMINAL_LOG.after)


class Terminals(Twin):
    """The second half: add the features of the terminal to what left `Customers`.

    A payment becomes its feature record; a verdict only updates the terminal.
    """

    def __init__(self) -> None:
        super().__init__(GRAPH, after=TERMINAL_LOG.after[-1])


class FraudPipeline(Twin):
    """Turn payments and verdicts, in the order of the log, into a feature row per new payment."""

    def __init__(self, graph: Graph = GRAPH) -> None:
        super().__init__(graph)


def feature_rows(
    transactions: Iterable[Transaction], labels: Iterable[FraudLabel], graph: Graph = GRAPH
) -> Iterator[Row]:
    """Yield the feature rows of all payments, in their order, with the verdicts known by then.

    Both inputs are in order of event_time and are merged as a replay merges them. The offsets
    carried are those that a replay into an empty log would give.
    """
    pipeline = FraudPipeline(graph)
    for offset, event in enumerate(log_order(transactions, labels)):
        if (out := pipeline.process(row_of(event, Place(offset=offset), graph))) is not None:
            yield out

"""Declare how payments and verdicts become rows of the sets in domain/fraud/catalogue.py.

The job (processing/jobs/fraud_features.py), the twin (pipeline.py) and training read it.
"""

from __future__ import annotations

from domain.features.graph import PLACE, Column, Graph, Source, constant
from domain.fraud.features import FRAUD
from domain.fraud.rows import ROWS

PAYMENT = Source(
    record="Transaction",
    fields=("transaction_id", "event_time", "customer_id", "terminal_id", "amount"),
    columns=(
        constant("kind", "transaction"),
        Column("event_id", "transaction_id", lambda record: record["transaction_id"]),
    ),
    rows=ROWS,
)
# Its id differs from its payment's, or the verdict would count as a repeat of the payment.
VERDICT = Source(
    record="FraudLabel",
    fields=("transaction_id", "event_time", "customer_id", "terminal_id", "is_fraud"),
    columns=(
        constant("kind", "label"),
        Column(
            "event_id",
            "'label/' || transaction_id",
            lambda record: "label/" + record["transaction_id"],
        ),
    ),
)

GRAPH = Graph(sources=(PAYMENT, VERDICT), table=FRAUD, columns=PLACE)

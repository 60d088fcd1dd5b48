"""Declare the card fraud features of a payment's customer and terminal, as known at payment time.

After the Fraud Detection Handbook (Le Borgne et al.): how often and how much a customer pays,
compared with this payment (stolen cards), and how often a terminal's payments turned out to be
fraud, by verdicts that arrive days late (compromised terminals). Verdicts are update-only rows: a
window over them holds those that became known within it, so `terminal_risk_7d` is about payments
made one delay earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from domain.features.declaration import (
    DAY,
    HOUR,
    MINUTE,
    Comparison,
    Feature,
    FeatureSet,
    RowFeature,
    Type,
    Window,
)
from domain.features.table import FeatureTable, Relay
from domain.fraud.families import SPANS

WINDOWS = (
    Window("1h", 5 * MINUTE, 12),
    Window("1d", HOUR, 24),
    Window("7d", 6 * HOUR, 28),
    Window("30d", DAY, 30),
)
PAYMENT = (Comparison("kind", "eq", "transaction"),)
VERDICT = (Comparison("kind", "eq", "label"),)

INPUTS: tuple[tuple[str, Type], ...] = (
    ("kind", "STRING"),
    ("event_id", "STRING"),
    ("transaction_id", "STRING"),
    ("event_time", "TIMESTAMP"),
    ("customer_id", "STRING"),
    ("terminal_id", "STRING"),
    ("amount", "DOUBLE"),
    ("is_fraud", "BOOLEAN"),
    ("partition", "BIGINT"),
    ("sequence", "BIGINT"),
    ("order_partition", "BIGINT"),
    ("order_sequence", "BIGINT"),
    ("produced_at", "TIMESTAMP"),
    ("is_night", "BIGINT"),
    ("is_weekend", "BIGINT"),
)


# Flink's HOUR() and DAYOFWEEK() are right from 1970 on (before that, HOUR() counts backwards), and
# no card is older.
def _is_night(row: Mapping[str, Any]) -> int:
    return int(row["event_time"] // HOUR % 24 <= 6)


def _is_weekend(row: Mapping[str, Any]) -> int:
    return int((row["event_time"] // DAY + 3) % 7 >= 5)  # 1970-01-01 was a Thursday


ROWS = (
    RowFeature(
        "is_night",
        "BIGINT",
        "CASE WHEN HOUR(event_time) <= 6 THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END",
        _is_night,
        "1 from 00:00 to 06:59 UTC, else 0.",
    ),
    RowFeature(
        "is_weekend",
        "BIGINT",
        "CASE WHEN DAYOFWEEK(CAST(event_time AS DATE)) IN (1, 7) "
        "THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END",
        _is_weekend,
        "1 on Saturday and Sunday (UTC), else 0.",
    ),
)


def _customer() -> tuple[Feature, ...]:
    count = [
        Feature(
            f"customer_count_{w}",
            "count",
            w,
            description=f"Payments of the customer within the last {SPANS[w]}, this one included.",
        )
        for w in ("1h", "1d", "7d", "30d")
    ]
    mean = [
        Feature(
            f"customer_mean_{w}",
            "mean",
            w,
            "amount",
            description=f"Mean amount of the customer within the last {SPANS[w]}.",
        )
        for w in ("1d", "7d", "30d")
    ]
    return (
        *count,
        *mean,
        Feature(
            "customer_sum_1d",
            "sum",
            "1d",
            "amount",
            description="Sum of the customer's payments within the last day.",
        ),
        Feature(
            "customer_max_30d",
            "max",
            "30d",
            "amount",
            description="The customer's largest payment within the last 30 days.",
        ),
        Feature(
            "customer_ratio_7d",
            "ratio",
            "7d",
            "amount",
            description="This amount over the customer's mean of the last 7 days.",
        ),
        Feature(
            "customer_ratio_30d",
            "ratio",
            "30d",
            "amount",
            description="This amount over the customer's mean of the last 30 days.",
        ),
        Feature(
            "customer_zscore_30d",
            "zscore",
            "30d",
            "amount",
            description="Standard deviations by which this amount lies "
            "above the customer's mean of the last 30 days.",
        ),
        Feature(
            "customer_terminals_7d",
            "distinct",
            "7d",
            "terminal_id",
            description="Distinct terminals the customer used "
            "within the last 7 days (exact below 64).",
        ),
        Feature(
            "customer_last_amount",
            "last",
            "30d",
            "amount",
            description="Amount of the customer's payment before this one.",
        ),
        Feature(
            "customer_seconds_since",
            "seconds_since",
            "30d",
            description="Seconds since the customer's payment before this one, within 30 days.",
        ),
        Feature(
            "customer_night_share_30d",
            "share",
            "30d",
            condition=(Comparison("is_night", "eq", 1),),
            description="Share of the customer's payments within the last 30 days made at night.",
        ),
    )


def _terminal() -> tuple[Feature, ...]:
    count = [
        Feature(
            f"terminal_count_{w}",
            "count",
            w,
            filter=PAYMENT,
            description=f"Payments at the terminal within the last {SPANS[w]}, this one included.",
        )
        for w in ("1h", "1d", "7d", "30d")
    ]
    labels = [
        Feature(
            f"terminal_labels_{w}",
            "count",
            w,
            filter=VERDICT,
            description="Verdicts on the terminal's payments "
            f"that became known within the last {SPANS[w]}.",
        )
        for w in ("1d", "7d", "30d")
    ]
    risk = [
        Feature(
            f"terminal_risk_{w}",
            "share",
            w,
            filter=VERDICT,
            condition=(Comparison("is_fraud", "eq", True),),
            description="Share of fraud among the verdicts "
            f"that became known within the last {SPANS[w]}.",
        )
        for w in ("1d", "7d", "30d")
    ]
    return (
        *count,
        Feature(
            "terminal_mean_30d",
            "mean",
            "30d",
            "amount",
            filter=PAYMENT,
            description="Mean amount at the terminal within the last 30 days.",
        ),
        Feature(
            "terminal_ratio_30d",
            "ratio",
            "30d",
            "amount",
            filter=PAYMENT,
            description="This amount over the terminal's mean of the last 30 days.",
        ),
        Feature(
            "terminal_customers_7d",
            "distinct",
            "7d",
            "customer_id",
            filter=PAYMENT,
            description="Distinct customers at the terminal "
            "within the last 7 days (exact below 64).",
        ),
        *labels,
        *risk,
    )


CUSTOMER = FeatureSet(
    name="customer",
    entity="customer",
    key="customer_id",
    time="event_time",
    id="event_id",
    inputs=INPUTS,
    windows=WINDOWS,
    features=_customer(),
    # Verdicts pass through untouched, so that they reach the terminal in the order of the log.
    passes=VERDICT,
)

TERMINAL = FeatureSet(
    name="terminal",
    entity="terminal",
    key="terminal_id",
    time="event_time",
    id="event_id",
    emit=PAYMENT,
    inputs=INPUTS,
    windows=WINDOWS,
    features=_terminal(),
)

_TIME = {"type": "long", "logicalType": "timestamp-millis"}

TERMINAL_LOG = Relay(
    record="FraudTerminalLog",
    description="A payment with its customer's features, or a verdict, in the order that terminals "
    "see. Used where transactions has several partitions. Key: terminal_id.",
    key="terminal_id",
    after=CUSTOMER,
    omit=("order_partition", "order_sequence"),
)

FRAUD = FeatureTable(
    name="fraud",
    record="FraudFeatures",
    description="A payment with what was known of its customer and terminal when it was made. "
    "Key: customer_id.",
    key="customer_id",
    carried=(
        {"name": "transaction_id", "type": "string", "doc": "The payment.", "minLength": 1},
        {"name": "event_time", "type": _TIME, "doc": "When it was made, UTC."},
        {"name": "customer_id", "type": "string", "doc": "The customer who pays.", "minLength": 1},
        {"name": "terminal_id", "type": "string", "doc": "The terminal.", "minLength": 1},
        {
            "name": "amount",
            "type": "double",
            "doc": "In the account's currency; negative for a refund.",
        },
        {
            "name": "partition",
            "type": "long",
            "doc": "Partition of the transaction in its topic, whose order its customer saw.",
            "default": -1,
        },
        {"name": "sequence", "type": "long", "doc": "Offset of the transaction in its partition."},
        {
            "name": "order_partition",
            "type": "long",
            "doc": "Partition of the log whose order its terminal saw: transactions, or "
            "fraud-terminal-log where transactions has several partitions.",
            "default": -1,
        },
        {
            "name": "order_sequence",
            "type": "long",
            "doc": "Offset of the payment in that partition.",
            "default": -1,
        },
        {"name": "produced_at", "type": _TIME, "doc": "Kafka's timestamp of the transaction."},
        {
            "name": "late",
            "type": "boolean",
            "doc": "Older than every window of its customer or of its terminal: "
            "the features of that one are unknown.",
        },
        {
            "name": "feature_set_version",
            "type": "string",
            "doc": "The version of the features' declaration.",
        },
    ),
    rows=ROWS,
    sets=(CUSTOMER, TERMINAL),
    model=(
        "amount",
        *(row.name for row in ROWS),
        *(feature.name for feature in CUSTOMER.features),
        *(feature.name for feature in TERMINAL.features),
    ),
    relays=(TERMINAL_LOG,),
)

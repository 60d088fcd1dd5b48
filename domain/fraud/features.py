"""Declare the feature record of a payment, and which of its features the model reads."""

from __future__ import annotations

from domain.features.table import FeatureTable, Relay
from domain.fraud.catalogue import SETS, TERMINAL
from domain.fraud.derived import DERIVED
from domain.fraud.rows import ROWS

RANKING = (
    "amount",
    "customer_zscore_14d",
    "customer_zscore_30d",
    "customer_zscore_60d",
    "customer_ratio_14d",
    "customer_prior_ratio_14d",
    "customer_prior_ratio_60d",
    "customer_count_30d",
    "customer_max_14d",
    "customer_mean_14d",
    "customer_mean_30d",
    "customer_std_14d",
    "customer_std_30d",
    "customer_peak_14d",
    "customer_remarkable_14d",
    "terminal_plain_newest",
    "terminal_fraud_newest",
    "terminal_since_genuine",
    "terminal_since_plain",
    "terminal_plain_7d",
    "terminal_plain_14d",
    "terminal_plain_21d",
    "terminal_plain_28d",
    "terminal_frauds_7d",
    "terminal_frauds_21d",
    "terminal_labels_7d",
    "terminal_labels_21d",
    "terminal_plain_risk_14d",
    "terminal_plain_risk_21d",
    "terminal_plain_risk_28d",
    "terminal_frauds_risk_7d",
    "terminal_frauds_risk_21d",
)

_TIME = {"type": "long", "logicalType": "timestamp-millis"}

TERMINAL_LOG = Relay(
    record="FraudTerminalLog",
    description="A payment with its customer's and its pair's features, or a verdict, as terminals "
    "see them. Used where transactions has several partitions. Key: terminal_id.",
    key="terminal_id",
    after=SETS[: SETS.index(TERMINAL)],
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
            "doc": "Older than every window of its customer, of the two as a pair, or of its "
            "terminal: the features of that one are unknown.",
        },
        {
            "name": "feature_set_version",
            "type": "string",
            "doc": "The version of the features' declaration.",
        },
    ),
    rows=ROWS,
    sets=SETS,
    model=RANKING,
    whole=True,
    derived=DERIVED,
    relays=(TERMINAL_LOG,),
)

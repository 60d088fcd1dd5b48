"""What the jobs say, without Flink: the columns of their queries and where they come from."""

from __future__ import annotations

import json
import re

from domain.fraud.features import CUSTOMER, FRAUD, TERMINAL
from processing import tables
from processing.jobs import business_metrics, fraud_features


def aliases(query: str) -> list[str]:
    return re.findall(r" AS `?([a-z]\w*)`?(?=,|\s|$)", query)


def test_payments_are_rows_of_the_customers_feature_set() -> None:
    assert set(aliases(fraud_features.payments())) | {
        "transaction_id",
        "event_time",
        "customer_id",
        "terminal_id",
        "amount",
    } == set(dict(CUSTOMER.inputs))
    assert "unreadable_reason IS NULL" in fraud_features.payments()


def test_the_kernel_is_called_with_the_declaration_and_a_name_for_its_state() -> None:
    query = fraud_features.rolling(TERMINAL, "both", uid="fraud-terminal")
    found = re.search(r"spec => '(.*)', uid => 'fraud-terminal'", query)
    assert found is not None
    assert json.loads(found.group(1).replace("''", "'")) == TERMINAL.spec()
    assert "PARTITION BY (terminal_id)" in query


def test_payments_and_labels_have_the_same_columns_in_the_same_order() -> None:
    payments, labels = fraud_features.payments_and_verdicts().split("UNION ALL")
    listed = re.search(r"SELECT (.*) FROM customers", payments)
    assert listed is not None
    names = listed.group(1).split(", ")
    assert aliases(labels.replace("AS STRING", "").replace("AS BOOLEAN", "")) == names
    assert set(dict(TERMINAL.inputs)) <= set(names)
    assert {feature.name for feature in CUSTOMER.features} <= set(names)
    assert f"NOT {CUSTOMER.duplicate}" in payments
    assert CUSTOMER.duplicate not in names


def test_labels_bring_an_id_of_their_own_and_the_verdict() -> None:
    labels = fraud_features.payments_and_verdicts().split("UNION ALL")[1]
    assert "'label/' || transaction_id AS event_id" in labels
    assert "is_fraud AS is_fraud" in labels
    assert "CAST(NULL AS DOUBLE) AS amount" in labels


def test_features_fill_the_generated_record() -> None:
    query = fraud_features.features()
    assert aliases(query) == list(tables.columns(FRAUD.record))
    assert f"{CUSTOMER.late} OR {TERMINAL.late} AS late" in query
    assert f"'{FRAUD.version}' AS feature_set_version" in query
    assert f"NOT {TERMINAL.duplicate}" in query


def test_business_metrics_fill_their_record() -> None:
    assert aliases(
        business_metrics.metrics().replace("AS TIMESTAMP_LTZ", "").replace("AS DOUBLE", "")
    ) == list(tables.columns("BusinessMetrics"))

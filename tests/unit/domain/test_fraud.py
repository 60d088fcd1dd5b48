from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from config.products import feature_modules
from domain.events import FraudFeatures, FraudLabel, Transaction
from domain.features.declaration import DAY, HOUR
from domain.features.registry import feature_sets, tables
from domain.fraud.catalogue import CUSTOMER, TERMINAL
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from domain.fraud.pipeline import (
    Customers,
    FraudPipeline,
    Place,
    Terminals,
    feature_rows,
    row_of,
)
from domain.fraud.rows import ROWS

NOON = int(datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp() * 1000)


def payment(
    number: int, at: int, customer: str = "c", terminal: str = "t", amount: float = 10.0
) -> Transaction:
    return Transaction(
        transaction_id=str(number),
        event_time=at,
        customer_id=customer,
        terminal_id=terminal,
        amount=amount,
    )


def verdict(number: int, at: int, is_fraud: bool, terminal: str = "t") -> FraudLabel:
    return FraudLabel(
        transaction_id=str(number),
        event_time=at,
        customer_id="c",
        terminal_id=terminal,
        is_fraud=is_fraud,
    )


def test_the_registry_finds_fraud_like_any_other_product() -> None:
    modules = feature_modules()
    assert FRAUD in tables(modules)
    assert feature_sets(modules) == {
        feature_set.name: feature_set for table in tables(modules) for feature_set in table.sets
    }
    assert {"customer", "terminal"} <= feature_sets(modules).keys()


def test_the_rows_of_both_sets_carry_what_the_sets_declare() -> None:
    declared = {name for name, _ in CUSTOMER.inputs}
    assert row_of(payment(1, NOON)).keys() == declared
    assert row_of(verdict(1, NOON, True)).keys() == declared
    assert dict(CUSTOMER.inputs).items() <= dict(TERMINAL.inputs).items()


@pytest.mark.parametrize(
    ("when", "night", "weekend", "hour"),
    [
        ("2026-03-06T23:59:59.999", 0, 0, 86_399 / 3600),
        ("2026-03-07T00:00", 1, 1, 0.0),
        ("2026-03-08T06:45", 1, 1, 6.75),
        ("2026-03-09T07:00", 0, 0, 7.0),
    ],
)
def test_row_features(when: str, night: int, weekend: int, hour: float) -> None:
    t = round(datetime.fromisoformat(when + "+00:00").timestamp() * 1000)
    assert {feature.name: feature.python({"event_time": t}) for feature in ROWS} == {
        "is_night": night,
        "is_weekend": weekend,
        "hour": hour,
    }


def test_a_feature_row_is_a_fraud_features_record() -> None:
    (row,) = feature_rows([payment(1, NOON, amount=12.5)], [])
    record = FraudFeatures(**row)
    assert (record.amount, record.customer_count_1h, record.terminal_count_30d) == (12.5, 1, 1)
    assert (record.late, record.feature_set_version) == (False, GRAPH.version)
    assert (record.terminal_risk_7d, record.terminal_labels_7d) == (None, 0)
    assert record.customer_last_amount is None


def test_the_terminal_s_risk_is_of_verdicts_known_by_then() -> None:
    payments = [payment(i, NOON + i * HOUR, customer=f"c{i}") for i in range(4)]
    known = [verdict(i, NOON + i * HOUR + 7 * DAY, is_fraud=i < 2) for i in range(4)]
    later = [payment(10, NOON + 6 * DAY), payment(11, NOON + 7 * DAY), payment(12, NOON + 8 * DAY)]
    rows = {row["transaction_id"]: row for row in feature_rows([*payments, *later], known)}
    assert rows["10"]["terminal_risk_30d"] is None
    # At the same moment the verdict comes first.
    assert (rows["11"]["terminal_labels_30d"], rows["11"]["terminal_risk_30d"]) == (1, 1.0)
    assert (rows["12"]["terminal_labels_30d"], rows["12"]["terminal_risk_30d"]) == (4, 0.5)
    assert (rows["12"]["terminal_count_30d"], rows["12"]["customer_count_30d"]) == (7, 3)


def test_a_duplicate_gives_no_row_and_changes_nothing() -> None:
    pipeline = FraudPipeline()
    first = row_of(payment(1, NOON))
    assert pipeline.process(first) is not None
    assert pipeline.process(first) is None
    out = pipeline.process(row_of(payment(2, NOON + 1)))
    assert out is not None
    assert (out["customer_count_1h"], out["terminal_count_1h"]) == (2, 2)


def test_what_is_late_for_the_customer_is_marked_and_still_counted_at_the_terminal() -> None:
    pipeline = FraudPipeline()
    pipeline.process(row_of(payment(1, NOON)))
    out: dict[str, Any] | None = pipeline.process(
        row_of(payment(2, NOON - 70 * DAY, terminal="other"))
    )
    assert out is not None
    assert (out["late"], out["customer_count_30d"], out["terminal_count_30d"]) == (True, None, 1)


def test_a_vector_says_where_its_payment_stands_in_the_log() -> None:
    late = payment(2, NOON + 2)
    rows = list(feature_rows([payment(1, NOON), late], [verdict(1, NOON + 1, is_fraud=True)]))
    places = ("partition", "sequence", "order_partition", "order_sequence")
    assert [[row[name] for name in places] for row in rows] == [[0, 0, 0, 0], [0, 2, 0, 2]]


def test_a_verdict_reaches_the_terminal_in_its_place_and_leaves_the_customer_alone() -> None:
    pipeline = FraudPipeline()
    known = verdict(1, NOON + 400 * DAY, is_fraud=True)
    assert pipeline.process(row_of(payment(1, NOON))) is not None
    assert pipeline.process(row_of(known)) is None
    # Only the terminal's clock for verdicts has moved: the customer has none.
    out = pipeline.process(row_of(payment(2, NOON + HOUR, terminal="other")))
    assert out is not None
    assert (out["late"], out["customer_count_1d"]) == (False, 2)


def test_the_halves_are_the_whole_when_the_log_between_them_repeats() -> None:
    """After a kill the customers' side writes some rows again; the terminals' side drops them."""
    events = [
        row_of(payment(i, NOON + i * HOUR, customer=f"c{i % 3}"), Place(0, i)) for i in range(40)
    ]
    for i in range(3, 40, 5):
        told = verdict(i - 3, NOON + i * HOUR, is_fraud=i % 2 == 0)
        events.insert(2 * i // 2, row_of(told, Place(1, i)))
    whole = FraudPipeline()
    expected = [out for row in events if (out := whole.process(row)) is not None]
    customers, terminals = Customers(), Terminals()
    log = [out for row in events if (out := customers.process(row)) is not None]
    got = [out for row in [*log[:30], *log[12:]] if (out := terminals.process(row)) is not None]
    assert got == expected
    assert len(got) == 40

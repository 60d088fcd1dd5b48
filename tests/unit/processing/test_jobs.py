"""What the jobs say, without Flink: the columns of their queries and where they come from."""

from __future__ import annotations

import json
import re

from domain.fraud.catalogue import CUSTOMER, TERMINAL
from domain.fraud.features import FRAUD, TERMINAL_LOG
from domain.fraud.graph import GRAPH
from domain.shop import windows
from domain.shop.sessions import SESSIONS
from processing import graph, streams, tables
from processing.jobs import (
    business_metrics,
    fraud_features,
    inventory,
    recommendations,
    sensor_anomalies,
)


def aliases(query: str) -> list[str]:
    return re.findall(r" AS `?([a-z]\w*)`?(?=,|\s|$)", query)


def test_events_are_rows_of_the_customers_feature_set() -> None:
    query = fraud_features.views(several=False)["events"]
    assert aliases(query) == list(dict(CUSTOMER.inputs))
    assert "FROM transactions_readable" in query
    assert "THEN 'label/' || transaction_id" in query


def test_the_kernel_is_called_with_the_declaration_and_a_name_for_its_state() -> None:
    query = fraud_features.views(several=False)["terminals"]
    assert "TABLE known PARTITION BY (terminal_id)" in query
    found = re.search(r"spec => '(.*)', uid => 'fraud-terminal'", query)
    assert found is not None
    assert json.loads(found.group(1).replace("''", "'")) == TERMINAL.spec()


def test_verdicts_pass_the_customer_untouched_and_update_the_terminal_alone() -> None:
    (verdict,) = CUSTOMER.spec()["pass"]
    assert verdict == {"column": "kind", "op": "eq", "value": "label"}
    (emitted,) = TERMINAL.spec()["emit"]
    assert emitted == {"column": "kind", "op": "eq", "value": "transaction"}


def test_what_leaves_the_pair_is_what_the_terminal_reads_directly_and_by_the_log() -> None:
    views = fraud_features.views(several=True)
    names = aliases(views["known"])
    assert set(dict(TERMINAL.inputs)) <= set(names)
    for one, passed in zip(TERMINAL_LOG.after, ("paid", "usual", "known"), strict=True):
        assert {feature.name for feature in one.features} <= set(names)
        assert f"NOT {one.duplicate}" in views[passed]
        assert one.duplicate not in names
    assert aliases(graph.logged(TERMINAL_LOG, "known")) == list(tables.columns(TERMINAL_LOG.record))
    assert set(aliases(views["ordered"])) == set(names)
    assert "TABLE ordered PARTITION BY (terminal_id)" in views["terminals"]


def test_features_fill_the_generated_record() -> None:
    query = graph.features(GRAPH, "terminals")
    assert aliases(query) == list(tables.columns(FRAUD.record))
    assert "customer_late OR habit_late OR pair_late OR terminal_late AS `late`" in query
    assert f"'{GRAPH.version}' AS `feature_set_version`" in query
    assert f"NOT {TERMINAL.duplicate}" in query


def test_business_metrics_fill_their_record() -> None:
    query = business_metrics.metrics().replace("AS DOUBLE", "").replace("AS INT", "")
    assert aliases(query) == list(tables.columns("BusinessMetrics"))
    told = aliases(business_metrics.VIEWS["windows"])
    items = ["items", "item_units", "item_gmv_minor", "items_sold"]
    assert told == [*windows.FIGURES, *items]
    assert set(told) <= set(tables.columns("BusinessMetrics"))


def test_shop_events_and_scores_are_tallied_by_the_hour_of_whoever_they_are_of() -> None:
    query = business_metrics.VIEWS["tallied"]
    assert "TABLE happened PARTITION BY (side, who, `hour`)" in query
    found = re.search(r"spec => '(.*)', uid => 'shop-tally'", query)
    assert found is not None
    spec = json.loads(found.group(1))
    assert spec["windows"] == [60_000, 300_000, 3_600_000]
    assert spec["gap_ms"] == SESSIONS.gap_ms
    happened = business_metrics.VIEWS["happened"]
    assert "WHEN 'transaction' THEN 3 ELSE 0 END" in happened
    assert "ABS(price * quantity) <= 1.000000E+12 THEN" in happened


def test_sessions_fill_their_record() -> None:
    assert aliases(recommendations.told()) == list(tables.columns("Session"))
    query = recommendations._SESSIONS
    assert "TABLE clicks PARTITION BY (user_id)" in query
    found = re.search(r"spec => '(.*)', uid => 'shop-sessions'", query)
    assert found is not None
    assert json.loads(found.group(1)) == SESSIONS.spec()


def test_sales_and_movements_fill_the_log() -> None:
    sales, movements = inventory.logged().split(" UNION ALL ")
    for query in (sales, movements):
        assert aliases(query.replace("AS DOUBLE", "").replace("AS BIGINT", "")) == list(
            tables.columns("StockEntry")
        )
    assert "FROM sold WHERE event_type IN ('transaction', 'cancellation')" in sales


def test_sensors_records_pass_through_python_with_times_in_milliseconds() -> None:
    query = streams.incoming("SensorReading", "readable")
    assert aliases(query) == ["timestamp", "received_at", "kafka_time"]
    time = "EXTRACT(EPOCH FROM `timestamp`) * 1000 + EXTRACT(MILLISECOND FROM `timestamp`)"
    assert f"{time} AS `timestamp`" in query
    for record in ("SensorScore", "RejectedReading", "Alert"):
        back = streams.outgoing(record, "stream")
        named = re.findall(r"`(\w+)`(?:, 3\) AS `\w+`)?(?=, | FROM)", back)
        assert named == list(tables.columns(record))
        assert "TO_TIMESTAMP_LTZ(" in back
    assert sensor_anomalies.PYTHON

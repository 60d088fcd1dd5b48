"""Compute the shop's figures by event-time windows of a minute, five minutes and an hour.

    shop-events ──┐
    fraud-scores ─┴─ by visitor or customer, and hour: what each adds ── by window, sums ──┐
                                                                          business-metrics ┘
    unreadable events and scores ── quarantine

There is no watermark: the job emits a window's present state again whenever an event changes it,
and never closes it. So no order of arrival loses an event: not several partitions, a backlog, or a
replay at full speed (docs/decisions/0013). Of two versions of a window the one with more events and
payments is newer.

A window is told of once the shop has an event in it. Payments come along; on their own, a replay of
weeks of them would be a window for each.

`tally` keeps the events of a visitor's hour and tells what each adds to its windows, once; what a
window holds is then sums alone (docs/decisions/0032).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from domain.shop.windows import DECISIONS, FIGURES, MOST, STAGES, spec
from processing.submission import run
from processing.tables import (
    Fold,
    columns,
    create_views,
    literal,
    readable,
    sink_ddl,
    source_ddl,
    unreadable,
)

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "business_metrics"
SHOP, SCORES = "shop-events", "fraud-scores"
SINK = "business-metrics"
# A version of a window comes as two rows, the one before taken back and the new one: for Flink a
# window might fall back to no events. The sink makes one of the two, if it never writes in between
# because it is full.
FOLD = Fold(ms=20, key=("window_start", "window_ms"), rows=1_000_000)
# A backlog's partitions are read one after the other, each with events of the same windows: about
# a thousand events at a time, so that all of a window's come within one fold.
FETCH_BYTES = 65_536
OPTIONS = {
    # A window that no event has touched for this long leaves the state.
    "table.exec.state.ttl": "7 d",
    # What a backlog changes many times within this, is added up first, before it is sent to its
    # window and there again: the state is read and written, and the window told of, once.
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "500 ms",
    "table.exec.mini-batch.size": "50000",
    "table.optimizer.agg-phase-strategy": "TWO_PHASE",
}


def _case(column: str, codes: Mapping[str, int], default: int) -> str:
    known = " ".join(f"WHEN {literal(text)} THEN {code}" for text, code in codes.items())
    return f"CASE {column} {known} ELSE {default} END"


def _minor(amount: str, times: str = "1") -> str:
    """Return an amount in minor units, rounded, times a number; NULL where it is too large."""
    units = f"CAST(ROUND({amount} * 100) AS BIGINT) * {times}"
    small = " AND ".join(f"ABS({one}) <= {MOST:E}" for one in (amount, f"{amount} * {times}"))
    return f"CASE WHEN {small} THEN {units} END"


_EVENTS = f"""
    SELECT 'visitor' AS side, user_id AS who, FLOOR(event_time TO HOUR) AS `hour`,
           event_id AS id, event_time AS `time`, {_case("event_type", STAGES, 0)} AS stage,
           transaction_id AS order_id, {_minor("price", "quantity")} AS minor,
           CASE WHEN event_type = 'transaction' THEN item_id END AS item,
           CAST(quantity AS BIGINT) AS units
    FROM events
    UNION ALL
    SELECT 'customer', customer_id, FLOOR(event_time TO HOUR),
           transaction_id, event_time, {_case("decision", DECISIONS, DECISIONS["review"])},
           CAST(NULL AS STRING), {_minor("amount")}, CAST(NULL AS STRING), CAST(NULL AS BIGINT)
    FROM scores"""
_TALLIED = f"""
    SELECT * FROM tally(
        `in` => TABLE happened PARTITION BY (side, who, `hour`),
        spec => {literal(json.dumps(spec()))}, uid => 'shop-tally')"""
_SUMMED = """
    SELECT window_ms, window_start, window_sums(added, item, units, minor) AS sums
    FROM tallied GROUP BY window_ms, window_start"""
_WINDOWS = f"""
    SELECT window_ms, window_start,
           {", ".join(f"sums.{column} AS {name}" for name, column in FIGURES.items())},
           sums.items AS items, sums.units AS item_units, sums.minor AS item_gmv_minor,
           sums.many AS items_sold
    FROM summed WHERE sums.events > 0"""

_METRICS = {
    "window_end": "window_start + CAST(window_ms / 1000 AS INT) * INTERVAL '1' SECOND",
    "gmv": "CAST(gmv_minor AS DOUBLE) / 100",
    "conversion": "CAST(buyers AS DOUBLE) / NULLIF(active_visitors, 0)",
}
VIEWS = {
    "events": readable(SHOP),
    "scores": readable(SCORES),
    "happened": _EVENTS,
    "tallied": _TALLIED,
    "summed": _SUMMED,
    "windows": _WINDOWS,
}


def metrics() -> str:
    """Return the SELECT of the columns of `business-metrics`, one row for each window."""
    names = columns("BusinessMetrics")
    selected = ", ".join(f"{_METRICS.get(name, name)} AS {name}" for name in names)
    return f"SELECT {selected} FROM windows"


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    for topic in (SHOP, SCORES):
        ddl = source_ddl(topic, group=f"millrace-{JOB}", fetch_bytes=FETCH_BYTES)
        environment.execute_sql(ddl)
    environment.execute_sql(sink_ddl(SINK, fold=FOLD))
    environment.execute_sql(sink_ddl("quarantine"))
    create_views(environment, VIEWS)
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO business_metrics {metrics()}")
    aside = " UNION ALL ".join(unreadable(topic, JOB) for topic in (SHOP, SCORES))
    statements.add_insert_sql(f"INSERT INTO quarantine {aside}")
    return statements


if __name__ == "__main__":
    run(JOB, topology, OPTIONS)

"""Compute the shop's orders, GMV, active visitors and conversion by event-time minute.

    shop-events ── by minute, distinct ids ── business-metrics
    unreadable events ── quarantine

Plain Flink SQL without a watermark: the job emits a minute's state again whenever an event changes
it, and never closes it. So no order of arrival loses an event: not several partitions, a backlog,
or a replay at full speed (docs/decisions/0013). Of two versions of a minute the one with more
events is newer.

All counts and sums are over distinct ids, so an event that comes again changes nothing. The kernel
keeps a minute's ids in one value, which a bundle of events reads and writes once
(docs/decisions/0027).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processing.submission import run
from processing.tables import (
    Fold,
    columns,
    create_views,
    readable,
    sink_ddl,
    source_ddl,
    unreadable,
)

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "business_metrics"
SOURCE = "shop-events"
SINK = "business-metrics"
FOLD = Fold(ms=500)
# A backlog's partitions are read one after the other, each with events of the same minutes: about
# a thousand events at a time, so that all of a minute's come within one fold.
FETCH_BYTES = 65_536
OPTIONS = {
    # A minute that no event has touched for this long leaves the state, with the ids of its events.
    "table.exec.state.ttl": "7 d",
    # A backlog changes a minute many times within a second: count in memory, emit once.
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "500 ms",
    "table.exec.mini-batch.size": "20000",
}

_LINE = "event_type = 'transaction'"

# A higher price counts as unpriced: a sum of doubles would overflow, and so would a decimal's.
_MOST = "1E15"
# Decimals add up to the same sum in any order; doubles do not.
_AMOUNT = (
    f"CASE WHEN ABS(price * quantity) <= {_MOST} THEN CAST(price * quantity AS DECIMAL(24, 6)) END"
)

_MINUTES = f"""
    SELECT minute_start,
           distinct_count(transaction_id) FILTER (WHERE {_LINE}) AS orders,
           distinct_sum(event_id, amount) FILTER (WHERE {_LINE}) AS gmv,
           distinct_count(event_id) FILTER (WHERE {_LINE} AND amount IS NULL) AS unpriced_lines,
           distinct_count(user_id) AS active_visitors,
           distinct_count(user_id) FILTER (WHERE {_LINE}) AS buyers,
           distinct_count(event_id) AS events
    FROM (
        SELECT *, FLOOR(event_time TO MINUTE) AS minute_start, {_AMOUNT} AS amount FROM readable
    ) GROUP BY minute_start"""

_METRICS = {
    "window_start": "minute_start",
    "window_end": "minute_start + INTERVAL '1' MINUTE",
    "gmv": "COALESCE(CAST(gmv AS DOUBLE), 0.0E0)",
    "conversion": "CAST(buyers AS DOUBLE) / NULLIF(active_visitors, 0)",
}


def metrics() -> str:
    """Return the SELECT of the columns of `business-metrics`, one row per minute with an event."""
    names = columns("BusinessMetrics")
    selected = ", ".join(f"{_METRICS.get(name, name)} AS {name}" for name in names)
    return f"SELECT {selected} FROM minutes"


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    environment.execute_sql(source_ddl(SOURCE, group=f"millrace-{JOB}", fetch_bytes=FETCH_BYTES))
    environment.execute_sql(sink_ddl(SINK, fold=FOLD))
    environment.execute_sql(sink_ddl("quarantine"))
    create_views(environment, {"readable": readable(SOURCE), "minutes": _MINUTES})
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO business_metrics {metrics()}")
    statements.add_insert_sql(f"INSERT INTO quarantine {unreadable(SOURCE, JOB)}")
    return statements


if __name__ == "__main__":
    run(JOB, topology, OPTIONS)

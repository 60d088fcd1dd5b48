"""business-metrics.

Orders, GMV, active visitors and conversion of the shop, by the minute of event time.

Plain Flink SQL. An event that comes twice within its minute counts once (same id, same time: the
same window); one that comes after its minute was closed (see `WATERMARK`) is dropped and counted in
the operator's numLateRecordsDropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processing.session import session
from processing.tables import Watermark, columns, sink_ddl, source_ddl, unreadable

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "business_metrics"
SOURCE = "shop-events"
SINKS = ("business-metrics", "quarantine")
WATERMARK = Watermark("event_time", delay_ms=5_000, idle_ms=10_000)

# ROW_NUMBER over a window's rows is a window deduplication: append-only, and its state goes when
# the window closes.
_EVENTS = """
    SELECT * FROM (
        SELECT *, ROW_NUMBER() OVER (
            PARTITION BY window_start, window_end, event_id ORDER BY event_time
        ) AS nth
        FROM TUMBLE(TABLE readable, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)
    ) WHERE nth = 1"""

# A sum of them would not be finite, and a minute without a finite GMV is no minute: such a line
# counts as unpriced.
_MOST = "1E15"
_AMOUNT = f"CASE WHEN ABS(price * quantity) <= {_MOST} THEN price * quantity END"

_MINUTES = f"""
    SELECT window_start, window_end,
           COUNT(DISTINCT transaction_id) FILTER (WHERE event_type = 'transaction') AS orders,
           SUM({_AMOUNT}) FILTER (WHERE event_type = 'transaction') AS gmv,
           COUNT(*) FILTER (
               WHERE event_type = 'transaction' AND ({_AMOUNT}) IS NULL
           ) AS unpriced_lines,
           COUNT(DISTINCT user_id) AS active_visitors,
           COUNT(DISTINCT user_id) FILTER (WHERE event_type = 'transaction') AS buyers,
           COUNT(*) AS events
    FROM events GROUP BY window_start, window_end"""

_METRICS = {
    "window_start": "CAST(window_start AS TIMESTAMP_LTZ(3))",
    "window_end": "CAST(window_end AS TIMESTAMP_LTZ(3))",
    "gmv": "COALESCE(gmv, 0.0E0)",
    "conversion": "CAST(buyers AS DOUBLE) / NULLIF(active_visitors, 0)",
}


def metrics() -> str:
    """The columns of `business-metrics`, one row a minute that had an event."""
    selected = ", ".join(
        f"{_METRICS.get(name, name)} AS {name}" for name in columns("BusinessMetrics")
    )
    return f"SELECT {selected} FROM minutes"


def topology(environment: TableEnvironment) -> StatementSet:
    """The whole job, ready to execute."""
    environment.execute_sql(source_ddl(SOURCE, group=f"millrace-{JOB}", watermark=WATERMARK))
    for topic in SINKS:
        environment.execute_sql(sink_ddl(topic))
    views = {
        "readable": "SELECT * FROM shop_events WHERE unreadable_reason IS NULL",
        "events": _EVENTS,
        "minutes": _MINUTES,
    }
    for name, query in views.items():
        environment.create_temporary_view(name, environment.sql_query(query))
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO business_metrics {metrics()}")
    statements.add_insert_sql(f"INSERT INTO quarantine {unreadable(SOURCE, JOB)}")
    return statements


if __name__ == "__main__":
    topology(session(JOB)).execute()

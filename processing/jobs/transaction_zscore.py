"""Tell of payments whose amount lies far from the mean of their minute, on the topic of alerts.

    transactions ── payments ── windows of 1 min, every 30 s: mean and deviation ┐
                        └────────────── each payment in its windows ─────────────┴ z > 3 ── alerts
    unreadable records ── quarantine

Plain Flink SQL on event time, with a watermark five minutes behind the newest payment: a window is
judged once, when it is over for good, so that a payment's two windows see the same whatever the
order of arrival within those minutes. `domain/fraud/outliers.py` says the same in plain Python.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.alerts.episodes import MOMENT
from domain.fraud.outliers import LATE_MS, MOST, PLACES, SIGMAS, SIZE_MS, SLIDE_MS
from processing.submission import run
from processing.tables import (
    Watermark,
    columns,
    create_views,
    readable,
    sink_ddl,
    source_ddl,
    unreadable,
)

if TYPE_CHECKING:
    from pyflink.table import StatementSet, TableEnvironment

JOB = "transaction_zscore"
SOURCE = "transactions"
OPTIONS = {
    # A payment is in two windows, and they end half a minute apart: who has told of it is known for
    # long enough, however slowly a backlog is read.
    "table.exec.state.ttl": "6 h",
}

# Decimals add up to the same sum in any order; doubles do not.
_PAYMENTS = f"""
    SELECT transaction_id, event_time, terminal_id, amount,
           CAST(LEAST(GREATEST(amount, {-MOST:.0f}E0), {MOST:.0f}E0) AS DECIMAL(14, {PLACES}))
             AS exact
    FROM readable WHERE record_type = 'Transaction'"""
_WINDOWED = f"""
    SELECT * FROM TABLE(HOP(TABLE payments, DESCRIPTOR(event_time),
      INTERVAL '{SLIDE_MS // 1000}' SECOND, INTERVAL '{SIZE_MS // 1000}' SECOND))"""
# A payment that is sent twice counts once.
_ONCE = """
    SELECT transaction_id, event_time, terminal_id, amount, exact,
           window_start, window_end
    FROM (
        SELECT *, ROW_NUMBER() OVER (
            PARTITION BY window_start, window_end, transaction_id ORDER BY event_time) AS nth
        FROM windowed
    ) WHERE nth = 1"""
_STATISTICS = """
    SELECT window_start, window_end, COUNT(*) AS payments,
           CAST(SUM(exact) AS DOUBLE) / COUNT(*) AS mean,
           CAST(SUM(exact * exact) AS DOUBLE) / COUNT(*) AS squares
    FROM once GROUP BY window_start, window_end"""
_JUDGED = """
    SELECT *, (CAST(exact AS DOUBLE) - mean) / NULLIF(deviation, 0E0) AS z FROM (
        SELECT once.transaction_id, once.event_time, once.terminal_id,
               once.amount, once.exact, once.window_start, once.window_end,
               payments, mean, SQRT(GREATEST(squares - mean * mean, 0E0)) AS deviation
        FROM once JOIN statistics
          ON once.window_start = statistics.window_start
         AND once.window_end = statistics.window_end)"""
_OUTLIERS = f"""
    SELECT * FROM (
        SELECT *, ROW_NUMBER() OVER (
            PARTITION BY transaction_id, event_time ORDER BY found) AS nth
        FROM (SELECT *, PROCTIME() AS found FROM judged WHERE ABS(z) > {SIGMAS})
    ) WHERE nth = 1"""

_ALERT = {
    "alert_id": "'zscore/' || transaction_id",
    # Not the customer: alerts are kept and sent beyond what can be forgotten of a person.
    "entity": "transaction_id",
    "event_time": "CAST(event_time AS TIMESTAMP_LTZ(3))",
    "kind": "'ZSCORE'",
    "severity": "'warning'",
    "message": """'payment ' || transaction_id || ' of '
        || CAST(CAST(exact AS DECIMAL(14, 2)) AS STRING) || ' is '
        || CAST(CAST(ABS(z) AS DECIMAL(12, 2)) AS STRING)
        || ' standard deviations from the mean of its minute, '
        || CAST(CAST(mean AS DECIMAL(14, 2)) AS STRING)""",
    "details": """MAP[
        '"""
    + MOMENT
    + """', 'true',
        'transaction_id', transaction_id,
        'terminal_id', terminal_id,
        'amount', CAST(amount AS STRING),
        'z', CAST(CAST(z AS DECIMAL(12, 2)) AS STRING),
        'mean', CAST(CAST(mean AS DECIMAL(14, 2)) AS STRING),
        'deviation', CAST(CAST(deviation AS DECIMAL(14, 2)) AS STRING),
        'payments', CAST(payments AS STRING),
        'window_start', DATE_FORMAT(window_start, 'yyyy-MM-dd''T''HH:mm:ss') || 'Z']""",
    # A payment does not clear.
    "state": "'cleared'",
    "opened_at": "CAST(event_time AS TIMESTAMP_LTZ(3))",
    "product": "'transactions'",
    "score": "1E0 - 1E0 / (z * z)",
    "location": "CAST(NULL AS STRING)",
}


def views() -> dict[str, str]:
    """Return the query of each view after `readable`, by name, in order."""
    return {
        "payments": _PAYMENTS,
        "windowed": _WINDOWED,
        "once": _ONCE,
        "statistics": _STATISTICS,
        "judged": _JUDGED,
        "outliers": _OUTLIERS,
    }


def alerts() -> str:
    """Return the SELECT of the columns of `alerts`, one row per outlier."""
    selected = ", ".join(f"{_ALERT[name]} AS `{name}`" for name in columns("Alert"))
    return f"SELECT {selected} FROM outliers"


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    watermark = Watermark("event_time", delay_ms=LATE_MS)
    environment.execute_sql(source_ddl(SOURCE, group=f"millrace-{JOB}", watermark=watermark))
    for topic in ("alerts", "quarantine"):
        environment.execute_sql(sink_ddl(topic))
    create_views(environment, {"readable": readable(SOURCE), **views()})
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO alerts {alerts()}")
    statements.add_insert_sql(f"INSERT INTO quarantine {unreadable(SOURCE, JOB)}")
    return statements


if __name__ == "__main__":
    run(JOB, topology, OPTIONS)

"""Summarise the sensors' good readings in windows, by sensor and by location.

    sensor-scores ── each once ── windows of 5 min, and of 10 every 5: mean … p99 ┐
    alerts ── that opened ─────── how many ───────────────────────────────────────┴ sensor-windows
    unreadable records ── quarantine

Flink SQL on event time, with a watermark ten minutes behind the newest reading. A window is told of
while it fills up, again when it is over, and again for each later reading of up to an hour (its
state lives until then): the record with more readings is newer. Flink's windows take back what they
correct; that is left out by a function in Python, a row for a correction, not for a reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from processing.streams import THREADS, aside, outgoing, row_type
from processing.submission import run
from processing.tables import (
    Watermark,
    columns,
    create_views,
    readable,
    sink_ddl,
    source_ddl,
)

if TYPE_CHECKING:
    from pyflink.common import Row
    from pyflink.table import StatementSet, StreamTableEnvironment

JOB = "sensor_windows"
PYTHON = True
SCORES, ALERTS, SINK = "sensor-scores", "alerts", "sensor-windows"
LATE_MS = 600_000
AHEAD = "INTERVAL '5' MINUTE"
"""A reading dated further ahead of its arrival is in no window: it would be the newest for long."""
SIZES = (
    (5, "TUMBLE(event_time, INTERVAL '5' MINUTE)"),
    (10, "HOP(event_time, INTERVAL '5' MINUTE, INTERVAL '10' MINUTE)"),
)
OPTIONS = {
    "table.exec.emit.early-fire.enabled": "true",
    "table.exec.emit.early-fire.delay": "10 s",
    "table.exec.emit.late-fire.enabled": "true",
    "table.exec.emit.late-fire.delay": "2 s",
    "table.exec.emit.allow-lateness": "1 h",
    # By when a reading that the detectors' job tells of again, after a kill, is known.
    "table.exec.state.ttl": "1 h",
    **THREADS,
}

# A score told again has its reading's place again.
_ONCE = f"""
    SELECT sensor_id, location, `timestamp` AS event_time, `value` FROM (
        SELECT *, ROW_NUMBER() OVER (
            PARTITION BY source_partition, source_offset ORDER BY found) AS nth
        FROM (SELECT *, PROCTIME() AS found FROM scores WHERE `timestamp` <= arrived + {AHEAD})
    ) WHERE nth = 1"""
_OPENED = """
    SELECT entity, location, event_time, alert_id FROM opening
    WHERE state = 'open' AND product = 'sensors'"""
_EVENTS = """
    SELECT t.`scope`, t.`name`, event_time, `value`, alert_id
    FROM (
        SELECT sensor_id AS entity, location, event_time, `value`,
               CAST(NULL AS STRING) AS alert_id FROM once
        UNION ALL
        SELECT entity, location, event_time, CAST(NULL AS DOUBLE), alert_id FROM opened
    ) CROSS JOIN UNNEST(ARRAY[ROW('sensor', entity), ROW('location', location)])
      AS t (`scope`, `name`)
    WHERE t.`name` IS NOT NULL"""

# Decimals add up to the same sum in any order; doubles do not.
_EXACT = "CAST(LEAST(GREATEST(`value`, -1E12), 1E12) AS DECIMAL(22, 9))"


def _windows(minutes: int, window: str) -> str:
    kind, _, rest = window.partition("(")
    return f"""
    SELECT `scope` || '/' || `name` || '/{minutes}/'
             || CAST(started AS STRING) AS window_id,
           `scope`, `name`, started * 1000 AS window_start,
           (started + {minutes} * 60) * 1000 AS window_end, readings,
           total / readings AS mean, least AS `min`, most AS `max`,
           shares[1] AS p50, shares[2] AS p95, shares[3] AS p99, alerts
    FROM (
        SELECT `scope`, `name`,
               EXTRACT(EPOCH FROM CAST({kind}_START({rest} AS TIMESTAMP_LTZ(3))) AS started,
               COUNT(`value`) AS readings, CAST(SUM({_EXACT}) AS DOUBLE) AS total,
               MIN(`value`) AS least, MAX(`value`) AS most,
               PERCENTILE(`value`, ARRAY[0.5E0, 0.95E0, 0.99E0]) AS shares,
               COUNT(DISTINCT alert_id) AS alerts
        FROM events GROUP BY `scope`, `name`, {window})"""


def views() -> dict[str, str]:
    """Return the query of each view after `scores` and `opening`, by name, in order."""
    sized = {f"windows_{minutes}": _windows(minutes, window) for minutes, window in SIZES}
    return {"once": _ONCE, "opened": _OPENED, "events": _EVENTS, **sized}


def topology(environment: StreamTableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    group = f"millrace-{JOB}"
    for topic, time in ((SCORES, "timestamp"), (ALERTS, "event_time")):
        watermark = Watermark(time, delay_ms=LATE_MS)
        environment.execute_sql(source_ddl(topic, group=group, watermark=watermark))
    for topic in (SINK, "quarantine"):
        environment.execute_sql(sink_ddl(topic))
    create_views(environment, {"scores": readable(SCORES), "opening": readable(ALERTS), **views()})
    names = ", ".join(f"`{name}`" for name in columns("SensorWindow"))
    told = " UNION ALL ".join(f"SELECT {names} FROM windows_{minutes}" for minutes, _ in SIZES)
    newest = (
        environment.to_changelog_stream(environment.sql_query(told))
        .flat_map(_standing, row_type("SensorWindow"))
        .name("standing")
    )
    environment.create_temporary_view("standing", newest)
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO sensor_windows {outgoing('SensorWindow', 'standing')}")
    for topic in (SCORES, ALERTS):
        statements.add_insert_sql(f"INSERT INTO quarantine {aside(environment, topic, JOB)}")
    return statements


def _standing(row: Row) -> Iterator[Row]:
    """Yield a version of a window as a row of its own; what is taken back is left out."""
    from pyflink.common import Row, RowKind

    if row.get_row_kind() in (RowKind.INSERT, RowKind.UPDATE_AFTER):
        yield Row(*row)


if __name__ == "__main__":
    run(JOB, topology, OPTIONS, python=PYTHON)

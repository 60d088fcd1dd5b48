"""Extract features of each sensor's good readings, window by window, for learned detectors.

    sensor-scores ── each once ── windows of 5 min ── features (Python) ── extracted-features
    unreadable records ── quarantine

Flink SQL on event time collects a window's readings; the features are those of
`domain/anomalies/features.py`, worked out in Python once a window. A window is told of when the
watermark, five minutes behind, has passed its end, and never again: a good reading is not later, by
the gate's own limit (docs/decisions/0042).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from domain.anomalies.features import MINUTES, extract
from processing.streams import THREADS, aside, outgoing, row_type
from processing.submission import run
from processing.tables import Watermark, create_views, readable, sink_ddl, source_ddl

if TYPE_CHECKING:
    from pyflink.common import Row
    from pyflink.table import StatementSet, StreamTableEnvironment

JOB = "window_features"
PYTHON = True
SOURCE, SINK = "sensor-scores", "extracted-features"
LATE_MS = 300_000
AHEAD = "INTERVAL '5' MINUTE"
"""A reading dated further ahead of its arrival is in no window: it would be the newest for long."""
# By when a reading that the detectors' job tells of again, after a kill, is known.
OPTIONS = {"table.exec.state.ttl": "1 h", **THREADS}

_MS = "EXTRACT(EPOCH FROM `timestamp`) * 1000 + EXTRACT(MILLISECOND FROM `timestamp`)"
# A score told again has its reading's place again.
_ONCE = f"""
    SELECT sensor_id, asset_id, sensor_type, location, `timestamp` AS event_time, at_ms, `value`
    FROM (
        SELECT *, ROW_NUMBER() OVER (
            PARTITION BY source_partition, source_offset ORDER BY found) AS nth
        FROM (
            SELECT *, {_MS} AS at_ms, PROCTIME() AS found FROM scores
            WHERE `timestamp` <= arrived + {AHEAD} AND `value` IS NOT NULL)
    ) WHERE nth = 1"""
_SIZE = f"INTERVAL '{MINUTES}' MINUTE"
_COLLECTED = f"""
    SELECT sensor_id,
           EXTRACT(EPOCH FROM CAST(TUMBLE_START(event_time, {_SIZE}) AS TIMESTAMP_LTZ(3))) * 1000
             AS window_start,
           MAX(asset_id) AS asset_id, MAX(sensor_type) AS sensor_type, MAX(location) AS location,
           ARRAY_AGG(CAST(at_ms AS STRING) || ' ' || CAST(`value` AS STRING)) AS readings
    FROM once GROUP BY sensor_id, TUMBLE(event_time, {_SIZE})"""


def views() -> dict[str, str]:
    """Return the query of each view after `scores`, by name, in order."""
    return {"once": _ONCE, "collected": _COLLECTED}


def topology(environment: StreamTableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    from pyflink.common import Row

    watermark = Watermark("timestamp", delay_ms=LATE_MS)
    environment.execute_sql(source_ddl(SOURCE, group=f"millrace-{JOB}", watermark=watermark))
    for topic in (SINK, "quarantine"):
        environment.execute_sql(sink_ddl(topic))
    create_views(environment, {"scores": readable(SOURCE), **views()})
    told = (
        environment.to_data_stream(environment.from_path("collected"))
        .map(features(Row), row_type("ExtractedFeatures"))
        .name("features")
    )
    environment.create_temporary_view("told", told)
    statements = environment.create_statement_set()
    statements.add_insert_sql(
        f"INSERT INTO extracted_features {outgoing('ExtractedFeatures', 'told')}"
    )
    statements.add_insert_sql(f"INSERT INTO quarantine {aside(environment, SOURCE, JOB)}")
    return statements


def features(row_of: Callable[..., Row]) -> Callable[[Row], Row]:
    """Return the function from a collected window to its record; `row_of` makes a row."""

    def extracted(row: Row) -> Row:
        sensor, start, asset, kind, location, readings = row
        pairs = [one.split(" ") for one in readings]
        found = extract([int(ms) for ms, _ in pairs], [float(value) for _, value in pairs])
        end = start + MINUTES * 60_000
        return row_of(sensor, start, end, asset, kind, location, dict(found))

    return extracted


if __name__ == "__main__":
    run(JOB, topology, OPTIONS, python=PYTHON)

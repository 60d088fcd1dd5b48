"""Extract features of each sensor's good readings, window by window, for learned detectors.

    sensor-scores ── by sensor: windows of 5 min ── features ── extracted-features
    unreadable records ── quarantine

What a window is and which features it has is `domain/anomalies/`. The function runs in Python on
Flink's keyed state, in thread mode. No watermark: a window is over by its sensor's own time
(docs/decisions/0042).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from processing.streams import THREADS, aside, outgoing, row_type
from processing.submission import run
from processing.tables import create_views, readable, sink_ddl, source_ddl

if TYPE_CHECKING:
    from pyflink.table import StatementSet, StreamTableEnvironment

JOB = "window_features"
PYTHON = True
SOURCE, SINK = "sensor-scores", "extracted-features"
OPTIONS = THREADS
READINGS = """
    SELECT sensor_id,
           EXTRACT(EPOCH FROM `timestamp`) * 1000 + EXTRACT(MILLISECOND FROM `timestamp`) AS at_ms,
           `value`, source_partition, source_offset, asset_id, sensor_type, location
    FROM scores
    WHERE `value` IS NOT NULL AND `timestamp` <= arrived + INTERVAL '5' MINUTE"""
"""A reading dated further ahead of its arrival is in no window: it would end those before it."""


def topology(environment: StreamTableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    from processing.sensors.windowing import Windowing

    environment.execute_sql(source_ddl(SOURCE, group=f"millrace-{JOB}"))
    for topic in (SINK, "quarantine"):
        environment.execute_sql(sink_ddl(topic))
    create_views(environment, {"scores": readable(SOURCE), "readings": READINGS})
    windows = (
        environment.to_data_stream(environment.from_path("readings"))
        .key_by(lambda row: row[0])
        .process(Windowing(), row_type("ExtractedFeatures"))
        .uid("window-features")
        .name("window-features")
    )
    environment.create_temporary_view("windows", windows)
    statements = environment.create_statement_set()
    statements.add_insert_sql(
        f"INSERT INTO extracted_features {outgoing('ExtractedFeatures', 'windows')}"
    )
    statements.add_insert_sql(f"INSERT INTO quarantine {aside(environment, SOURCE, JOB)}")
    return statements


if __name__ == "__main__":
    run(JOB, topology, OPTIONS, python=PYTHON)

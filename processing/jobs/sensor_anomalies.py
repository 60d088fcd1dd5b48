"""Judge every reading of the sensors: rejected, or scored; and tell of what is unusual.

    sensor-readings ── by sensor: gate ── detectors ── sensor-scores
                                  │           ├─ what is unusual, as it opens and clears ── alerts
                                  │           └─ by asset: channels that go together ── alerts
                                  └─ readings that fail, with every reason ── rejected-readings
    timers ── nothing of a sensor for ten minutes ── alerts
    unreadable readings ── quarantine

What a reading means is `domain/sensors/`, limits and detectors by type are `config/sensors.yaml`.
The function runs in Python on Flink's keyed state, in thread mode (docs/decisions/0021).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.settings import settings
from processing.streams import THREADS, aside, incoming, outgoing, row_type
from processing.submission import run
from processing.tables import Watermark, create_views, readable, sink_ddl, source_ddl

if TYPE_CHECKING:
    from pyflink.table import StatementSet, StreamTableEnvironment

JOB = "sensor_anomalies"
PYTHON = True
SOURCE = "sensor-readings"
SINKS = ("sensor-scores", "rejected-readings", "alerts", "quarantine")
OPTIONS = THREADS


def topology(environment: StreamTableEnvironment) -> StatementSet:
    """Build the whole job, ready to start."""
    from processing.sensors.assets import ASSET, Assets
    from processing.sensors.watching import ALERTS, JOINT, REJECTED, Watching

    heard = Watermark("kafka_time")
    environment.execute_sql(source_ddl(SOURCE, group=f"millrace-{JOB}", watermark=heard))
    for topic in SINKS:
        environment.execute_sql(sink_ddl(topic))
    create_views(
        environment,
        {"readable": readable(SOURCE), "readings": incoming("SensorReading", "readable")},
    )
    readings = environment.to_data_stream(environment.from_path("readings"))
    watched = (
        readings.key_by(lambda row: row[0])
        .process(Watching(settings().sensors_file), row_type("SensorScore"))
        .uid("sensor-watch")
        .name("sensor-watch")
    )
    joint = (
        watched.get_side_output(JOINT)
        .key_by(lambda row: row[ASSET])
        .process(Assets(settings().sensors_file), row_type("Alert"))
        .uid("asset-watch")
        .name("asset-watch")
    )
    parts = {"scored": watched, "joint": joint} | {
        name: watched.get_side_output(tag)
        for name, tag in (("rejected", REJECTED), ("told", ALERTS))
    }
    for name, stream in parts.items():
        environment.create_temporary_view(name, stream)
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO sensor_scores {outgoing('SensorScore', 'scored')}")
    statements.add_insert_sql(
        f"INSERT INTO rejected_readings {outgoing('RejectedReading', 'rejected')}"
    )
    told = f"{outgoing('Alert', 'told')} UNION ALL {outgoing('Alert', 'joint')}"
    statements.add_insert_sql(f"INSERT INTO alerts {told}")
    statements.add_insert_sql(f"INSERT INTO quarantine {aside(environment, SOURCE, JOB)}")
    return statements


if __name__ == "__main__":
    run(JOB, topology, OPTIONS, python=PYTHON)

"""Join the sensors' good readings with what held at their time: metadata, and series from outside.

    sensor-scores ── by sensor ─┬─ by location ─┬─ by place ─┬─ sensor-context
    sensor-metadata ────────────┴───────────────┘            │
    outside-series (e.g. the weather) ───────────────────────┘
    unreadable records ── quarantine

Flink SQL's temporal joins on event time: a reading meets the version that held when it was
measured, not the newest one, in a replay as live. It waits until the readings' watermark, five
minutes behind, has passed it, and for a version no longer: a topic without news for ten seconds
holds nobody back, and what is not there is null (docs/decisions/0040).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

JOB = "sensor_context"
SCORES, METADATA, OUTSIDE = "sensor-scores", "sensor-metadata", "outside-series"
SINK = "sensor-context"
LATE_MS = 300_000
"""A good reading arrives by then, by the gate's own limit."""
HOLDS_HOURS = 6
"""For so long values from outside hold when no newer ones come."""
SOURCES = {
    SCORES: Watermark("timestamp", delay_ms=LATE_MS),
    METADATA: Watermark("valid_from", delay_ms=0),
    OUTSIDE: Watermark("event_time", delay_ms=0),
}

_READINGS = """
    SELECT 'sensor/' || sensor_id AS subject, sensor_id, `timestamp`, `value`, score, location,
           arrived, source_partition, source_offset
    FROM scores"""
# The newest version by its time, and of two of one time the one that was written last.
_VERSIONS = """
    SELECT subject, valid_from, location, place, latitude, longitude, attributes FROM (
        SELECT *, ROW_NUMBER() OVER (PARTITION BY subject ORDER BY valid_from DESC) AS nth
        FROM (SELECT `scope` || '/' || `name` AS subject, valid_from, location, place,
                     latitude, longitude, attributes FROM described)
    ) WHERE nth = 1"""
_VALUES = """
    SELECT place, event_time, `values` FROM (
        SELECT *, ROW_NUMBER() OVER (PARTITION BY place ORDER BY event_time DESC) AS nth
        FROM (SELECT place, event_time, `values` FROM measured)
    ) WHERE nth = 1"""
_BY_SENSOR = """
    SELECT r.sensor_id, r.`timestamp`, r.`value`, r.score, r.arrived, r.source_partition,
           r.source_offset, COALESCE(r.location, v.location) AS location,
           'location/' || COALESCE(r.location, v.location) AS subject,
           CAST(v.valid_from AS TIMESTAMP_LTZ(3)) AS sensor_from,
           v.attributes AS sensor_attributes
    FROM readings AS r
    LEFT JOIN versions FOR SYSTEM_TIME AS OF r.`timestamp` AS v ON r.subject = v.subject"""
_BY_LOCATION = """
    SELECT r.sensor_id, r.`timestamp`, r.`value`, r.score, r.arrived, r.source_partition,
           r.source_offset, r.location, r.sensor_from, r.sensor_attributes,
           COALESCE(v.place, r.location) AS place,
           CAST(v.valid_from AS TIMESTAMP_LTZ(3)) AS location_from,
           v.attributes AS location_attributes, v.latitude, v.longitude
    FROM by_sensor AS r
    LEFT JOIN versions FOR SYSTEM_TIME AS OF r.`timestamp` AS v ON r.subject = v.subject"""
_BY_PLACE = f"""
    SELECT r.*, CAST(o.event_time AS TIMESTAMP_LTZ(3)) AS outside_time, o.`values` AS outside,
           r.`timestamp` <= o.event_time + INTERVAL '{HOLDS_HOURS}' HOUR AS holds
    FROM by_location AS r
    LEFT JOIN outside_values FOR SYSTEM_TIME AS OF r.`timestamp` AS o ON r.place = o.place"""

_HELD = {
    "outside_time": "CASE WHEN holds THEN outside_time END",
    "outside": "CASE WHEN holds THEN outside END",
}


def views() -> dict[str, str]:
    """Return the query of each view after `scores`, `described` and `measured`, in order."""
    return {
        "readings": _READINGS,
        "versions": _VERSIONS,
        "outside_values": _VALUES,
        "by_sensor": _BY_SENSOR,
        "by_location": _BY_LOCATION,
        "by_place": _BY_PLACE,
    }


def contexts() -> str:
    """Return the SELECT of the columns of `sensor-context`, one row per reading."""
    names = columns("SensorContext")
    selected = ", ".join(f"{_HELD.get(name, f'`{name}`')} AS `{name}`" for name in names)
    return f"SELECT {selected} FROM by_place"


def topology(environment: TableEnvironment) -> StatementSet:
    """Build the whole job, ready to execute."""
    for topic, watermark in SOURCES.items():
        environment.execute_sql(source_ddl(topic, group=f"millrace-{JOB}", watermark=watermark))
    for topic in (SINK, "quarantine"):
        environment.execute_sql(sink_ddl(topic))
    sources = {"scores": SCORES, "described": METADATA, "measured": OUTSIDE}
    read = {name: readable(topic) for name, topic in sources.items()}
    create_views(environment, read | views())
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO sensor_context {contexts()}")
    for topic in SOURCES:
        statements.add_insert_sql(f"INSERT INTO quarantine {unreadable(topic, JOB)}")
    return statements


if __name__ == "__main__":
    run(JOB, topology)

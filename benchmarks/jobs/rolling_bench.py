"""The `rolling` benchmark's job: Avro from Kafka through one `rolling` to Avro in Kafka.

Run: flink run -py rolling_bench.py --source TOPIC --sink TOPIC (benchmarks/rolling.py does).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from config.settings import settings
from ingestion.schema import text
from processing.session import session
from processing.tables import literal, sql_type

SUBJECT = "bench-rolling-value"  # registered by benchmarks/rolling.py
SCHEMAS = Path(__file__).parent.parent / "schema"
WINDOWS = {
    "1d": {"tile_ms": 3_600_000, "tiles": 24},
    "7d": {"tile_ms": 21_600_000, "tiles": 28},
    "30d": {"tile_ms": 86_400_000, "tiles": 30},
}


def spec() -> str:
    """Return the specification of the 12 values, as docs/rolling.md writes it."""
    features = []
    for window in WINDOWS:
        features.append({"name": f"count_{window}", "aggregate": "count", "window": window})
        for aggregate in ("sum", "max", "ratio"):
            name = f"{aggregate}_{window}"
            features.append(
                {"name": name, "aggregate": aggregate, "window": window, "column": "amount"}
            )
    return json.dumps(
        {
            "version": 1,
            "name": "bench",
            "time": "event_time",
            "windows": WINDOWS,
            "features": features,
        }
    )


def columns(schema: str) -> str:
    """Return the column list of a record without nested types."""
    return ", ".join(
        f"`{field['name']}` {sql_type(field['type'])}" for field in json.loads(schema)["fields"]
    )


def table(name: str, topic: str, schema: str, more: dict[str, str], metadata: str = "") -> str:
    """Return the DDL of a Kafka table in the format millrace-avro."""
    options = {
        "connector": "kafka",
        "topic": topic,
        "properties.bootstrap.servers": settings().kafka_bootstrap,
        "value.format": "millrace-avro",
        "value.millrace-avro.url": settings().registry_url,
        "value.millrace-avro.schema": schema,
        **more,
    }
    listed = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in options.items())
    return f"create temporary table {name} ({columns(schema)}{metadata}) with ({listed})"


def main() -> None:
    """Submit the statement; the job runs until it is cancelled."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", required=True)
    parser.add_argument("--sink", required=True)
    parser.add_argument(
        "--startup", default="earliest-offset", choices=["earliest-offset", "latest-offset"]
    )
    parser.add_argument("--linger", default="50", help="ms the producer waits for a fuller batch")
    arguments = parser.parse_args()
    environment = session(arguments.sink)
    start = {"scan.startup.mode": arguments.startup, "properties.group.id": arguments.sink}
    reason = ", reason STRING METADATA FROM 'value.reason' VIRTUAL"
    environment.execute_sql(
        table("transactions", arguments.source, text("Transaction"), start, reason)
    )
    result = (SCHEMAS / "RollingResult.avsc").read_text()
    end = {
        "key.format": "millrace-text",
        "key.fields": "customer_id",
        "value.fields-include": "ALL",
        "value.millrace-avro.subject": SUBJECT,
        "sink.delivery-guarantee": "at-least-once",
        # For throughput, as the peers' producers are: the fraud job itself sends at once.
        "properties.linger.ms": arguments.linger,
        "properties.batch.size": "524288",
        "properties.compression.type": "lz4",
    }
    environment.execute_sql(table("results", arguments.sink, result, end))
    readable = (
        "(select transaction_id, event_time, customer_id, amount"
        " from transactions where reason is null)"
    )
    rows = environment.sql_query(f"select * from {readable}")  # noqa: S608 - constants
    environment.create_temporary_view("readable", rows)
    names = ", ".join(f"`{field['name']}`" for field in json.loads(result)["fields"])
    call = (
        "rolling(`in` => table readable partition by (customer_id),"
        f" spec => '{spec()}', uid => 'bench')"
    )
    environment.execute_sql(f"insert into results select {names} from {call}")  # noqa: S608 - constants


if __name__ == "__main__":
    main()

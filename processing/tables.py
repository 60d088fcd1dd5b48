"""Derive Flink tables from the contracts: no column is written by hand.

A source table holds the fields of the topic's records, and beside them the message's position and
metadata. Fields of other records than the message's are NULL, and all of them if it cannot be read.

| column | type | meaning |
|---|---|---|
| `record_type` | STRING | the record's name, as `topics.yaml` has it; NULL if unreadable |
| `kafka_key` | BYTES | the key, unchanged |
| `kafka_partition`, `kafka_offset` | INT, BIGINT | the record's position |
| `kafka_time` | TIMESTAMP_LTZ(3) | Kafka's timestamp of it |
| `unreadable_reason` | STRING | a code of Quarantined.avsc; NULL if it can be read |
| `unreadable_detail` | STRING | the same in words |
| `unreadable_raw` | BYTES | its value, unchanged; the beginning of one longer than 2 MiB |

A sink table holds the record's fields only; its key is made from the field that `topics.yaml`
names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.settings import Settings, settings
from config.topics import Topic, largest_message, topics
from ingestion import schema as contracts
from ingestion.wire.encode import EARLIEST_MS, LATEST_MS

if TYPE_CHECKING:
    from pyflink.table import TableEnvironment

_PRIMITIVES = {
    "boolean": "BOOLEAN",
    "int": "INT",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "STRING",
    "bytes": "BYTES",
    "enum": "STRING",
    "fixed": "BYTES",
}
_LOGICAL = {
    "timestamp-millis": "TIMESTAMP_LTZ(3)",
    "timestamp-micros": "TIMESTAMP_LTZ(6)",
    "date": "DATE",
}
_METADATA = (
    ("record_type", "STRING", "value.record"),
    ("kafka_partition", "INT", "partition"),
    ("kafka_offset", "BIGINT", "offset"),
    ("kafka_time", "TIMESTAMP_LTZ(3)", "timestamp"),
    ("unreadable_reason", "STRING", "value.reason"),
    ("unreadable_detail", "STRING", "value.detail"),
    ("unreadable_raw", "BYTES", "value.raw"),
)
# A broker that restarts must not fail the job, so no client may give up before this.
_PATIENCE_MS = 600_000
_CONSUMER = {
    "auto.offset.reset": "earliest",
    "default.api.timeout.ms": _PATIENCE_MS,
    "max.poll.records": 2_000,
    "reconnect.backoff.max.ms": 1_000,
}
_PRODUCER = {
    "acks": "all",
    "enable.idempotence": "true",
    # The client's LZ4 allocates 130 KB of buffers for every batch, and at a thousand events a
    # second a batch is one record: 85 MB of garbage a second, and a collector that stops the task
    # every six.
    "compression.type": "none",
    # A request for each row keeps the broker and the consumer behind it busier than the wait costs.
    "linger.ms": 2,
    "batch.size": 131_072,
    "buffer.memory": 67_108_864,
    # The client's own limit is Kafka's 1 MiB: a row that the topic takes and the client does not
    # would stop the job.
    "max.request.size": largest_message(),
    "delivery.timeout.ms": _PATIENCE_MS,
    "max.block.ms": _PATIENCE_MS,
    "request.timeout.ms": 10_000,
    "reconnect.backoff.max.ms": 1_000,
}


@dataclass(frozen=True, slots=True)
class Watermark:
    """Event time of a source: `column` minus `delay_ms`.

    A partition silent for `idle_ms` does not hold back the others.

    An event from the future never closes today's windows: the wall clock bounds the watermark. With
    `align_group`, sources of that group wait for each other once `align_drift_ms` apart.
    """

    column: str = "event_time"
    delay_ms: int = 5_000
    idle_ms: int = 10_000
    align_group: str | None = None
    align_drift_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class Fold:
    """The folding of versions by a sink: of those of one `key` within `ms` it writes the last.

    It also writes them all once `rows` keys have come, and before each checkpoint. Without `key`
    the topic's is taken.
    """

    ms: int
    key: tuple[str, ...] = ()
    rows: int = 5_000


def sql_type(avro: Any) -> str:
    """Return the SQL type of an Avro type, without nullability: unions are of null and one other.

    Raise ValueError for an unsupported type.
    """
    parts = contracts.parts(avro)
    kind = parts["type"]
    if kind == "array":
        return f"ARRAY<{sql_type(parts['items'])}>"
    if kind == "map":
        return f"MAP<STRING, {sql_type(parts['values'])}>"
    known = _LOGICAL.get(parts.get("logicalType", "")) or (
        _PRIMITIVES.get(kind) if isinstance(kind, str) else None
    )
    if known is None:
        raise ValueError(f"no SQL type for Avro's {avro!r}")
    return known


def columns(*records: str) -> dict[str, str]:
    """Return SQL types by column of `ingestion/schema/<record>.avsc`, in its order.

    For several records, return the union: the columns of the first, then those each further one
    adds. Raise ValueError for a column that has two types.
    """
    union: dict[str, str] = {}
    for record in records:
        for field in contracts.load(record)["fields"]:
            name, kind = field["name"], sql_type(field["type"])
            if union.setdefault(name, kind) != kind:
                raise ValueError(f"{name} is {kind} in {record}, and {union[name]} in another")
    return union


def table_name(topic: str) -> str:
    """Return the name of the table that stands for a topic."""
    return topic.replace("-", "_")


def source_ddl(
    topic: str,
    *,
    group: str,
    watermark: Watermark | None = None,
    offsets: Mapping[int, int] | None = None,
    table: str | None = None,
    read: str | None = None,
    fetch_bytes: int | None = None,
    config: Settings | None = None,
) -> str:
    """Return the CREATE TABLE of a topic to read, under consumer group `group`.

    `table` is its name if that is another than the topic's, `read` a copy of the topic in Kafka.
    Reading starts from `offsets` by partition where given, else from the group's committed offsets,
    else from the beginning. A backlog's partitions are read in turns of `fetch_bytes` each (None:
    what Kafka's client takes, 1 MiB).

    Raise KeyError for a topic that `topics.yaml` does not name.
    """
    config = config or settings()
    declared = topics()[topic]
    lines = [f"`{name}` {kind}" for name, kind in columns(*declared.records).items()]
    lines.append("`kafka_key` BYTES")
    lines += [f"`{name}` {kind} METADATA FROM '{key}' VIRTUAL" for name, kind, key in _METADATA]
    options: dict[str, Any] = {
        **_connection(declared, config),
        **_contracts(declared),
        "properties.group.id": group,
        **_startup(offsets),
        # The connector overrides the client's own property with this one.
        "scan.topic-partition-discovery.interval": "60 s",
        "key.format": "raw",
        "key.fields": "kafka_key",
        "value.fields-include": "EXCEPT_KEY",
        **{f"properties.{key}": value for key, value in _CONSUMER.items()},
    }
    if fetch_bytes:
        options["properties.max.partition.fetch.bytes"] = fetch_bytes
    if watermark:
        lines.append(f"WATERMARK FOR `{watermark.column}` AS {_watermark(watermark)}")
        options |= _watermark_options(watermark)
    if read is not None:
        options["topic"] = read
    return _create(table or table_name(topic), lines, options)


def sink_ddl(
    topic: str,
    *,
    table: str | None = None,
    fold: Fold | None = None,
    nowhere: bool = False,
    config: Settings | None = None,
) -> str:
    """Return the CREATE TABLE of a topic to write, at least once.

    Records carry the time they were produced. `table` is its name if the same job reads the topic
    too. With `fold` rows are versions, each a record of its own, and the last one of a key counts.
    With `nowhere` rows are dropped.

    Raise KeyError for a topic that `topics.yaml` does not name.
    """
    config = config or settings()
    declared = topics()[topic]
    lines = [f"`{name}` {kind}" for name, kind in columns(declared.schema).items()]
    if nowhere:
        return _create(table or table_name(topic), lines, {"connector": "blackhole"})
    if fold:
        listed = ", ".join(f"`{name}`" for name in fold.key or (declared.key,))
        lines.append(f"PRIMARY KEY ({listed}) NOT ENFORCED")
    options: dict[str, Any] = {
        **_connection(declared, config),
        **(_folded(fold, declared) if fold else {"key.fields": declared.key}),
        "value.millrace-avro.schema": contracts.text(declared.schema),
        "value.millrace-avro.subject": declared.subject,
        "key.format": "millrace-text",
        "value.fields-include": "ALL",
        "sink.delivery-guarantee": "at-least-once",
        **{f"properties.{key}": value for key, value in _PRODUCER.items()},
    }
    return _create(table or table_name(topic), lines, options)


def _folded(fold: Fold, topic: Topic) -> dict[str, Any]:
    return {
        "connector": "upsert-kafka",
        "key.millrace-text.column": topic.key,
        "sink.buffer-flush.interval": f"{fold.ms} ms",
        "sink.buffer-flush.max-rows": fold.rows,
    }


# A producer may give a record any time at all; the contract allows the years 1 to 9999.
SOURCE_TIME = (
    f"GREATEST(LEAST(kafka_time, TO_TIMESTAMP_LTZ({LATEST_MS}, 3)), "
    f"TO_TIMESTAMP_LTZ({EARLIEST_MS}, 3))"
)


def readable(topic: str, *, table: str | None = None, config: Settings | None = None) -> str:
    """Return the SELECT of a source table's records, except those that `unreadable` selects.

    `table` is its name if that is another than the topic's.
    """
    ahead = _ahead(topics()[topic], config or settings())
    kept = f" AND ({ahead}) IS NOT TRUE" if ahead else ""
    return f"SELECT * FROM `{table or table_name(topic)}` WHERE unreadable_reason IS NULL{kept}"


def unreadable(
    topic: str, job: str, *, table: str | None = None, config: Settings | None = None
) -> str:
    """Return the SELECT of the records that must not enter the job, in the columns of `quarantine`.

    These are records that could not be read, and events dated further ahead of Kafka's timestamp
    than the settings allow, which would move the windows of their keys for good.
    """
    config = config or settings()
    declared = topics()[topic]
    reason, detail, wrong = (
        "unreadable_reason",
        "unreadable_detail",
        "unreadable_reason IS NOT NULL",
    )
    if ahead := _ahead(declared, config):
        reason = f"COALESCE({reason}, 'refused')"
        seconds = f"{config.event_ahead_ms / 1000:g} s"
        told = f"' is more than {seconds} after Kafka''s timestamp, ' || CAST(kafka_time AS STRING)"
        said = f"'{declared.time} ' || CAST(`{declared.time}` AS STRING) || {told}"
        detail = f"COALESCE({detail}, {said})"
        wrong = f"{wrong} OR {ahead}"
    return f"""
        SELECT {literal(topic)} AS source_topic,
               kafka_partition AS source_partition, kafka_offset AS source_offset,
               {SOURCE_TIME} AS source_time, kafka_key AS `key`, unreadable_raw AS `value`,
               {reason} AS reason, {detail} AS detail, {literal(job)} AS job,
               CAST(CURRENT_TIMESTAMP AS TIMESTAMP_LTZ(3)) AS quarantined_at, FALSE AS replayed
        FROM `{table or table_name(topic)}` WHERE {wrong}"""


def _ahead(topic: Topic, config: Settings) -> str | None:
    """Return the condition of a record dated too far ahead, or None if the topic has no time."""
    if topic.time is None:
        return None
    return f"`{topic.time}` > {SOURCE_TIME} + {_interval(config.event_ahead_ms)}"


def create_views(environment: TableEnvironment, queries: Mapping[str, str]) -> None:
    """Name each query's result, for the queries after it.

    As tables, not as views of SQL: expanding one over a process table function does not parse.
    """
    for name, query in queries.items():
        environment.create_temporary_view(name, environment.sql_query(query))


def literal(text: str) -> str:
    """Return the text as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _connection(topic: Topic, config: Settings) -> dict[str, Any]:
    return {
        "connector": "kafka",
        "topic": topic.name,
        "properties.bootstrap.servers": config.kafka_bootstrap,
        "value.format": "millrace-avro",
        "value.millrace-avro.url": config.registry_url,
    }


def _startup(offsets: Mapping[int, int] | None) -> dict[str, str]:
    if not offsets:
        return {"scan.startup.mode": "group-offsets"}
    listed = ";".join(f"partition:{one},offset:{first}" for one, first in sorted(offsets.items()))
    return {
        "scan.startup.mode": "specific-offsets",
        "scan.startup.specific-offsets": listed,
    }


def _contracts(topic: Topic) -> dict[str, Any]:
    if not topic.also:
        return {"value.millrace-avro.schema": contracts.text(topic.schema)}
    texts = ",\n".join(contracts.text(record).strip() for record in topic.records)
    return {"value.millrace-avro.schemas": f"[{texts}]"}


def _watermark(watermark: Watermark) -> str:
    """Return the newest event time less the delay.

    An event from the future moves it no further than the wall clock.
    """
    newest = f"LEAST(`{watermark.column}`, CAST(CURRENT_TIMESTAMP AS TIMESTAMP_LTZ(3)))"
    return f"{newest} - {_interval(watermark.delay_ms)}"


def _watermark_options(watermark: Watermark) -> dict[str, Any]:
    options: dict[str, Any] = {"scan.watermark.idle-timeout": f"{watermark.idle_ms} ms"}
    if watermark.align_group:
        options |= {
            "scan.watermark.alignment.group": watermark.align_group,
            "scan.watermark.alignment.max-drift": f"{watermark.align_drift_ms} ms",
        }
    return options


def _interval(ms: int) -> str:
    days, rest = divmod(ms, 86_400_000)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds = f"{rest // 1000:02d}.{rest % 1000:03d}"
    return f"INTERVAL '{days} {hours:02d}:{minutes:02d}:{seconds}' DAY TO SECOND(3)"


def _create(table: str, lines: list[str], options: Mapping[str, Any]) -> str:
    settings_text = ",\n  ".join(
        f"{literal(key)} = {literal(str(value))}" for key, value in options.items()
    )
    body = ",\n  ".join(lines)
    return f"CREATE TEMPORARY TABLE `{table}` (\n  {body}\n) WITH (\n  {settings_text}\n)"

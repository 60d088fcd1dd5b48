"""Tables are derived from the contracts: columns, keys, options."""

from __future__ import annotations

import json
import re

import pytest

from config.settings import Settings
from config.topics import Topic, topics
from ingestion import schema as contracts
from processing import tables
from processing.tables import Watermark

CONFIG = Settings(port_offset=500)
SOURCE_ONLY = {
    "record_type",
    "kafka_key",
    "kafka_partition",
    "kafka_offset",
    "kafka_time",
    "unreadable_reason",
    "unreadable_detail",
    "unreadable_raw",
}


def column_names(ddl: str) -> list[str]:
    body = ddl.split("\n) WITH (")[0].split("(\n", 1)[1]
    return re.findall(r"^\s*`(\w+)` ", body, re.M)


def options(ddl: str) -> dict[str, str]:
    pairs = re.findall(r"'((?:[^']|'')*)' = '((?:[^']|'')*)'", ddl.split("\n) WITH (")[1])
    return {key: value.replace("''", "'") for key, value in pairs}


@pytest.mark.parametrize("topic", topics())
def test_a_source_has_the_records_fields_then_where_it_came_from_and_why_it_is_unreadable(
    topic: str,
) -> None:
    fields = list(tables.columns(*topics()[topic].records))
    names = column_names(tables.source_ddl(topic, group="g", config=CONFIG))
    assert names[: len(fields)] == fields
    assert set(names[len(fields) :]) == SOURCE_ONLY
    assert len(names) == len(set(names))


@pytest.mark.parametrize("topic", topics())
def test_a_sink_has_the_records_fields_and_the_key_that_topics_yaml_names(topic: str) -> None:
    ddl = tables.sink_ddl(topic, config=CONFIG)
    fields = [field["name"] for field in contracts.load(topics()[topic].schema)["fields"]]
    assert column_names(ddl) == fields
    declared = topics()[topic]
    if declared.key in fields:
        assert options(ddl)["key.fields"] == declared.key
    assert options(ddl)["value.millrace-avro.subject"] == declared.subject


def test_every_sink_key_is_a_field() -> None:
    for declared in topics().values():
        assert declared.key in tables.columns(declared.schema), declared.name


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `t` a topic of payments and verdicts."""
    declared = Topic("t", "customer_id", "Transaction", 1, 1, 1, also=("FraudLabel",))
    monkeypatch.setattr(tables, "topics", lambda: {"t": declared})


def test_a_topic_of_several_records_has_the_columns_of_all(shared: None) -> None:
    ddl = tables.source_ddl("t", group="g", config=CONFIG)
    own = list(tables.columns("Transaction"))
    verdict = [name for name in tables.columns("FraudLabel") if name not in own]
    names = column_names(ddl)
    assert names[: len(own) + len(verdict)] == [*own, *verdict]
    assert set(names[len(own) + len(verdict) :]) == SOURCE_ONLY
    given = options(ddl)
    schemas = json.loads(given["value.millrace-avro.schemas"])
    assert [schema["name"] for schema in schemas] == ["Transaction", "FraudLabel"]
    assert "value.millrace-avro.schema" not in given
    assert "`record_type` STRING METADATA FROM 'value.record' VIRTUAL" in ddl


def test_a_sink_of_such_a_topic_writes_the_first(shared: None) -> None:
    ddl = tables.sink_ddl("t", config=CONFIG)
    assert column_names(ddl) == list(tables.columns("Transaction"))
    assert options(ddl)["value.millrace-avro.schema"] == contracts.text("Transaction")
    assert "value.millrace-avro.schemas" not in options(ddl)


def test_records_that_give_a_column_two_types_cannot_share_a_topic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    types = {"A": "int", "B": ["null", "int"], "C": "string"}
    monkeypatch.setattr(
        contracts, "load", lambda record: {"fields": [{"name": "x", "type": types[record]}]}
    )
    assert tables.columns("A", "B") == {"x": "INT"}
    with pytest.raises(ValueError, match="x is STRING in C"):
        tables.columns("A", "B", "C")


def test_the_schema_reaches_the_format_as_it_is_written() -> None:
    several = options(tables.source_ddl("transactions", group="g", config=CONFIG))
    text = contracts.text("Transaction")
    assert text.strip() in several["value.millrace-avro.schemas"]
    assert "account's" in text, "a text with a quote, so that quoting is tested"
    alone = options(tables.source_ddl("shop-events", group="g", config=CONFIG))
    assert alone["value.millrace-avro.schema"] == contracts.text("ShopEvent")


def test_a_source_starts_where_its_group_stopped_and_else_at_the_beginning() -> None:
    given = options(tables.source_ddl("transactions", group="mine", config=CONFIG))
    assert given["scan.topic-partition-discovery.interval"] == "60 s"
    assert given["scan.startup.mode"] == "group-offsets"
    assert given["properties.auto.offset.reset"] == "earliest"
    assert given["properties.group.id"] == "mine"
    assert given["properties.bootstrap.servers"] == CONFIG.kafka_bootstrap
    assert given["value.millrace-avro.url"] == CONFIG.registry_url


def test_a_source_reads_its_partitions_in_turns_of_the_size_asked_for() -> None:
    name = "properties.max.partition.fetch.bytes"
    ddl = tables.source_ddl("shop-events", group="g", fetch_bytes=4096, config=CONFIG)
    assert options(ddl)[name] == "4096"
    assert name not in options(tables.source_ddl("shop-events", group="g", config=CONFIG))


def test_a_sink_that_folds_does_so_by_its_own_key_and_places_records_by_the_topic_s() -> None:
    fold = tables.Fold(ms=20, key=("user_id", "session_id"), rows=7)
    ddl = tables.sink_ddl("sessions", fold=fold, config=CONFIG)
    assert "PRIMARY KEY (`user_id`, `session_id`) NOT ENFORCED" in ddl
    given = options(ddl)
    assert given["connector"] == "upsert-kafka"
    assert given["key.millrace-text.column"] == topics()["sessions"].key == "user_id"
    assert given["sink.buffer-flush.interval"] == "20 ms"
    assert given["sink.buffer-flush.max-rows"] == "7"
    assert "key.fields" not in given
    alone = tables.sink_ddl("business-metrics", fold=tables.Fold(ms=1), config=CONFIG)
    assert "PRIMARY KEY (`window_start`) NOT ENFORCED" in alone


def test_a_sink_outlasts_a_broker_that_restarts() -> None:
    given = options(tables.sink_ddl("fraud-features", config=CONFIG))
    assert given["sink.delivery-guarantee"] == "at-least-once"
    assert int(given["properties.delivery.timeout.ms"]) >= 300_000
    assert int(given["properties.max.block.ms"]) >= 300_000
    patience = int(given["properties.request.timeout.ms"]) + int(given["properties.linger.ms"])
    assert int(given["properties.delivery.timeout.ms"]) >= patience, "Kafka refuses less"


@pytest.mark.parametrize("topic", topics())
def test_a_sink_s_client_lets_through_what_its_topic_takes(topic: str) -> None:
    given = options(tables.sink_ddl(topic, config=CONFIG))
    assert int(given["properties.max.request.size"]) >= (
        topics()[topic].max_message_bytes or 1_048_588
    )
    assert int(given["properties.buffer.memory"]) > int(given["properties.max.request.size"])


def test_no_watermark_unless_asked() -> None:
    assert "WATERMARK" not in tables.source_ddl("transactions", group="g", config=CONFIG)


def test_the_watermark_is_bounded_by_the_wall_clock() -> None:
    watermark = Watermark(
        "event_time", delay_ms=90_061_001, idle_ms=700, align_group="all", align_drift_ms=60_000
    )
    ddl = tables.source_ddl("transactions", group="g", watermark=watermark, config=CONFIG)
    expected = (
        "WATERMARK FOR `event_time` AS "
        "LEAST(`event_time`, CAST(CURRENT_TIMESTAMP AS TIMESTAMP_LTZ(3)))"
        " - INTERVAL '1 01:01:01.001' DAY TO SECOND(3)"
    )
    assert expected in ddl
    given = options(ddl)
    assert given["scan.watermark.idle-timeout"] == "700 ms"
    assert given["scan.watermark.alignment.group"] == "all"
    assert given["scan.watermark.alignment.max-drift"] == "60000 ms"


def test_unknown_topics_are_refused() -> None:
    with pytest.raises(KeyError, match="nothing"):
        tables.source_ddl("nothing", group="g", config=CONFIG)
    with pytest.raises(KeyError, match="nothing"):
        tables.sink_ddl("nothing", config=CONFIG)


@pytest.mark.parametrize(
    ("avro", "sql"),
    [
        ("string", "STRING"),
        ("int", "INT"),
        ({"type": "long", "logicalType": "timestamp-millis"}, "TIMESTAMP_LTZ(3)"),
        ({"type": "long", "logicalType": "timestamp-micros"}, "TIMESTAMP_LTZ(6)"),
        ({"type": "long", "logicalType": "of-our-own"}, "BIGINT"),
        ({"type": "int", "logicalType": "date"}, "DATE"),
        (["null", "double"], "DOUBLE"),
        ({"type": "enum", "name": "E", "symbols": ["a"]}, "STRING"),
        ({"type": "fixed", "name": "F", "size": 3}, "BYTES"),
        ({"type": "array", "items": ["null", "float"]}, "ARRAY<FLOAT>"),
        (
            {"type": "map", "values": {"type": "array", "items": "boolean"}},
            "MAP<STRING, ARRAY<BOOLEAN>>",
        ),
    ],
)
def test_sql_types(avro: object, sql: str) -> None:
    assert tables.sql_type(avro) == sql


@pytest.mark.parametrize(
    "avro", [["int", "string"], "null", {"type": "record", "name": "R", "fields": []}, ["null"]]
)
def test_types_without_a_column_type_are_refused(avro: object) -> None:
    with pytest.raises(ValueError, match="no SQL type"):
        tables.sql_type(avro)


def test_what_is_unreadable_fills_every_column_of_quarantine() -> None:
    query = tables.unreadable("transaction-labels", "some'job")
    assert re.findall(r"AS `?(\w+)`?(?=[,\s])", query.replace("AS TIMESTAMP_LTZ", "")) == list(
        tables.columns("Quarantined")
    )
    assert "FROM `transaction_labels` WHERE unreadable_reason IS NOT NULL" in query
    assert "'some''job'" in query


def test_an_event_dated_ahead_of_the_log_is_in_quarantine_and_not_in_the_job() -> None:
    config = CONFIG.model_copy(update={"event_ahead_ms": 3_600_000})
    ahead = "INTERVAL '0 01:00:00.000' DAY TO SECOND(3)"
    kept, aside = (
        tables.readable("transactions", config=config),
        tables.unreadable("transactions", "job", config=config),
    )
    assert "`event_time` > GREATEST(LEAST(kafka_time" in kept
    assert f"{ahead}) IS NOT TRUE" in kept
    assert aside.endswith(ahead)
    assert "COALESCE(unreadable_reason, 'refused') AS reason" in aside
    assert "more than 3600 s after Kafka''s timestamp" in aside
    assert tables.readable("transaction-labels", config=config) == (
        "SELECT * FROM `transaction_labels` WHERE unreadable_reason IS NULL"
    )


def test_a_job_may_read_and_write_one_topic() -> None:
    ddl = tables.sink_ddl("alerts", table="alerts_out", config=CONFIG)
    assert ddl.startswith("CREATE TEMPORARY TABLE `alerts_out` (")
    assert options(ddl)["topic"] == "alerts"

"""The tables are what the contracts say, and follow them when they gain a field."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.types import LongType

from config.errors import UserError
from config.lake import lake_tables
from config.topics import Topic, topics
from ingestion import schema as contracts
from lakehouse.tables import PROPERTIES, apply, columns
from processing import tables as flink
from tests.unit.lakehouse.conftest import TABLES, Append

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")
PLACE = ["_topic", "_partition", "_offset", "_ingested_at"]
# Iceberg's names of what Flink calls by others.
SAME = {
    "STRING": "string",
    "INT": "int",
    "BIGINT": "long",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "BYTES": "binary",
    "TIMESTAMP_LTZ(3)": "timestamptz",
    "ARRAY<STRING>": "list<string>",
    "ARRAY<INT>": "list<int>",
    "ARRAY<BIGINT>": "list<long>",
    "ARRAY<DOUBLE>": "list<double>",
    "MAP<STRING, DOUBLE>": "map<string, double>",
    "MAP<STRING, STRING>": "map<string, string>",
}


def test_a_topic_of_two_records_has_two_tables() -> None:
    named = {table.name: table.record for table in lake_tables([topics()["transactions"]])}
    assert named == {"transactions": "Transaction", "fraud_labels": "FraudLabel"}


def test_a_topic_joins_by_one_word() -> None:
    plain = Topic("a-b", "id", "ShopItem", 1, 1, 1)
    assert lake_tables([plain]) == ()
    (joined,) = lake_tables([Topic("a-b", "id", "ShopItem", 1, 1, 1, lake="event_time")])
    assert str(joined) == "bronze.a_b"


@pytest.mark.parametrize("name", TABLES)
def test_columns_are_those_that_flink_writes(name: str) -> None:
    table = TABLES[name]
    found = {column: str(kind) for column, kind in columns(table).items()}
    assert list(found)[:4] == PLACE
    expected = {column: SAME[kind] for column, kind in flink.columns(table.record).items()}
    assert {column: kind for column, kind in found.items() if column not in PLACE} == expected
    assert table.time in expected, "it is partitioned by a field that it has"


def test_they_are_made_once_and_partitioned_by_day(lake: Catalog, append: Append) -> None:
    table = TABLES["transactions"]
    assert [str(change.what) for change in apply(lake, [table])] == ["created"]
    assert apply(lake, [table]) == []
    found = append(table, [(0, 0), (0, 1), (0, 3)])
    days = {tuple(one["partition"].values()) for one in found.inspect.partitions().to_pylist()}
    assert days == {(datetime(2024, 1, day, tzinfo=UTC).date(),) for day in (1, 2)}
    assert {one: found.properties[one] for one in PROPERTIES} == PROPERTIES


def test_a_field_that_a_contract_gains_is_a_column_without_values_so_far(
    lake: Catalog, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = TABLES["transactions"]
    append(table, [(0, 0)])
    grown = contracts.load(table.record)
    grown["fields"] += [
        {"name": "channel", "type": ["null", "string"], "default": None},
        {"name": "marks", "type": {"type": "array", "items": "long"}, "default": []},
    ]
    monkeypatch.setattr(contracts, "load", lambda _record: grown)
    told = [change.what for change in apply(lake, [table])]
    assert told == ["column channel string added", "column marks list<long> added"]
    assert apply(lake, [table]) == []
    found = lake.load_table(table.identifier)
    assert found.scan().to_arrow()["channel"].to_pylist() == [None]


def test_a_field_of_another_type_is_refused(lake: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLES["transactions"]
    apply(lake, [table])
    with lake.load_table(table.identifier).update_schema() as update:
        update.add_column("channel", LongType())
    changed = contracts.load(table.record)
    changed["fields"].append({"name": "channel", "type": "string"})
    monkeypatch.setattr(contracts, "load", lambda _record: changed)
    with pytest.raises(UserError, match="channel is long, its field is string"):
        apply(lake, [table])


def test_a_property_that_differs_is_set(lake: Catalog) -> None:
    table = TABLES["fraud_labels"]
    apply(lake, [table])
    with lake.load_table(table.identifier).transaction() as transaction:
        transaction.set_properties({"write.target-file-size-bytes": "1"})
    (change,) = apply(lake, [table])
    assert change.what.startswith("write.target-file-size-bytes = ")
    assert apply(lake, [table]) == []


def test_a_process_that_lives_long_reads_contracts_anew_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contracts, "_FOLDER", tmp_path)
    file = tmp_path / "Visit.avsc"
    try:
        contracts.reread()
        file.write_text('{"fields": ["one"]}')
        assert contracts.load("Visit")["fields"] == ["one"]
        file.write_text('{"fields": ["one", "two"]}')
        assert contracts.load("Visit")["fields"] == ["one"], "it is read once"
        contracts.reread()
        assert contracts.load("Visit")["fields"] == ["one", "two"]
    finally:
        monkeypatch.undo()
        contracts.reread()

"""The SQL of the lake's job."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import SecretStr

from config.lake import lake_tables
from config.settings import Settings
from config.topics import topics
from processing import lake, tables
from processing.jobs import lakehouse

TABLES = {table.name: table for table in lake_tables(topics().values())}


def test_without_a_start_the_job_is_not_built() -> None:
    """It would write again what its tables hold."""
    with pytest.raises(ValueError, match="starts from what its tables hold"):
        lake.Start.parse("")


def test_a_start_is_read_as_it_was_written() -> None:
    told = {"offsets": {"t": {0: 5, 1: 0}}, "written": {"a": {0: 4}, "b": {}}}
    found = lake.Start.parse(json.dumps(told))
    assert (found.offsets, found.written) == (told["offsets"], told["written"])


@pytest.mark.parametrize("name", TABLES)
def test_every_field_and_the_place_of_a_record_are_written(name: str) -> None:
    table = TABLES[name]
    query = lake.insert(table, "view", {})
    into, _, selected = query.partition("SELECT")
    expected = ["_topic", "_partition", "_offset", "_ingested_at", *tables.columns(table.record)]
    assert re.findall(r"`(\w+)`", into)[3:] == expected
    assert re.findall(r" AS `(\w+)`", selected) == expected
    assert f"record_type = '{table.record}' AND kafka_offset > -1" in selected


def test_what_a_table_holds_is_not_written_again() -> None:
    query = lake.insert(TABLES["transactions"], "view", {1: 7, 0: 5})
    assert query.endswith(
        "kafka_offset > CASE kafka_partition WHEN 0 THEN 5 WHEN 1 THEN 7 ELSE -1 END"
    )


def test_reading_starts_where_it_is_told() -> None:
    ddl = tables.source_ddl("fraud-features", group="g", offsets={1: 7, 0: 5})
    assert "'scan.startup.mode' = 'specific-offsets'" in ddl
    assert "'scan.startup.specific-offsets' = 'partition:0,offset:5;partition:1,offset:7'" in ddl
    assert "group-offsets" in tables.source_ddl("fraud-features", group="g")


def test_it_commits_as_often_as_the_settings_say() -> None:
    assert lakehouse.OPTIONS == {"execution.checkpointing.interval": "60 s"}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            "postgresql+psycopg://u:p%40w@db:5432/lake?sslmode=verify-full&connect_timeout=5",
            "jdbc:postgresql://db:5432/lake?sslmode=verify-full&connect_timeout=5",
        ),
        ("postgresql://u:p@[::1]:5432/lake", "jdbc:postgresql://[::1]:5432/lake"),
        ("postgresql://[::1]/lake", "jdbc:postgresql://[::1]/lake"),
    ],
)
def test_an_address_keeps_its_options_and_brackets(given: str, wanted: str) -> None:
    assert lake.catalog_options(Settings(lake_catalog_uri=SecretStr(given)))["uri"] == wanted

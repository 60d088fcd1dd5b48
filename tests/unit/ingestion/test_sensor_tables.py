"""Metadata of sensors and series from outside, read from CSV: worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.errors import UserError
from ingestion.replay.batches import Batch
from ingestion.sensors.tables import METADATA, OUTSIDE, Table, metadata_table, outside_table
from ingestion.wire.codec import Codec
from tests.unit.ingestion.registries import FakeRegistry

NOON = 1_764_504_000_000  # 2025-11-30T12:00:00Z


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def read(table: Table, limit: int | None = None) -> tuple[Batch, list[dict[str, Any]]]:
    codec = Codec(FakeRegistry().client())
    (batch,) = table.batches(codec.encoder(table.topic), limit)
    return batch, [codec.decode(table.topic, one.value) for one in batch.records]


def test_versions_have_the_fields_of_their_scope_and_what_else_is_known(tmp_path: Path) -> None:
    table = metadata_table(
        written(
            tmp_path / "metadata.csv",
            "scope,name,valid_from,location,place,latitude,longitude,maker",
            "sensor,a,2025-11-30T12:00:00Z,hall,,,,Acme",
            f"location,hall,{NOON + 1},,munich,48.1,11.5,",
            "location,hall,2025-11-30,,,91,,",
            "sensor,b,2025-11-30,,munich,,,",
            "house,c,2025-11-30,,,,,",
            "sensor,,2025-11-30,,,,,",
            "sensor,d,yesterday,,,,,",
            "sensor,e,2025-11-30",
        )
    )
    assert table.count() == 8
    batch, records = read(table)
    assert [(one.topic, one.key, one.due - NOON) for one in batch.records] == [
        (METADATA, f"sensor/a@{NOON}", 0),
        (METADATA, f"location/hall@{NOON + 1}", 1),
    ]
    sensor, location = records
    assert (sensor["location"], sensor["place"], sensor["attributes"]) == (
        "hall",
        None,
        {"maker": "Acme"},
    )
    assert (location["place"], location["latitude"], location["longitude"]) == (
        "munich",
        48.1,
        11.5,
    )
    assert location["attributes"] == {}
    assert [(one.row, one.reason) for one in batch.rejected] == [
        (2, "latitude is at most 90 degrees, not 91"),
        (3, "place: not of a sensor"),
        (4, "scope is sensor or location, not 'house'"),
        (5, "name is missing"),
        (6, "Invalid isoformat string: 'yesterday'"),
        (7, "not as many cells as the header has"),
    ]


def test_a_series_has_a_value_a_column_and_none_for_an_empty_cell(tmp_path: Path) -> None:
    table = outside_table(
        written(
            tmp_path / "weather.csv",
            "place,event_time,temperature,wind",
            "munich,2025-11-30T12:00:00Z,1.5,",
            "munich,2025-11-30T13:00:00+01:00,-2,7",
            "munich,2025-11-30T14:00:00Z,,",
            "munich,2025-11-30T15:00:00Z,nan,1",
            ",2025-11-30T15:00:00Z,1,1",
            "munich,2025-11-30T15:00:00Z,cold,1",
        )
    )
    batch, records = read(table)
    assert records == [
        {"place": "munich", "event_time": NOON, "values": {"temperature": 1.5}},
        {"place": "munich", "event_time": NOON, "values": {"temperature": -2.0, "wind": 7.0}},
    ]
    assert {(one.topic, one.key, one.due) for one in batch.records} == {(OUTSIDE, "munich", NOON)}
    assert [(one.row, one.reason) for one in batch.rejected] == [
        (2, "no value is given"),
        (3, "temperature is nan: no number"),
        (4, "place is missing"),
        (5, "could not convert string to float: 'cold'"),
    ]
    assert len(read(table, limit=1)[1]) == 1


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("place,temperature", "its header names no event_time"),
        ("place,event_time,a,a", "each once"),
        ("place,event_time,", "name each column"),
    ],
)
def test_a_header_that_cannot_be_used_is_refused(tmp_path: Path, header: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        outside_table(written(tmp_path / "weather.csv", header))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a file"):
        metadata_table(tmp_path / "none.csv")

"""Readings of files, worked out by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from config.errors import UserError
from ingestion import schema
from ingestion.replay.batches import Batch
from ingestion.sensors import files
from ingestion.sensors.batches import READINGS, write
from ingestion.sensors.files import ReadingsFile
from ingestion.sensors.simulator import Setting, Simulator
from ingestion.wire.encode import RecordEncoder

ENCODER = RecordEncoder(schema.load("SensorReading"), b"")
# Times as numbers, as they are written.
PLAIN = schema.text("SensorReading").replace(', "logicalType": "timestamp-millis"', "")
PARSED = fastavro.parse_schema(json.loads(PLAIN))
NOON = 1_764_504_000_000  # 2025-11-30T12:00:00Z


def read(batches: list[Batch]) -> list[dict[str, Any]]:
    found: list[Any] = [
        fastavro.schemaless_reader(io.BytesIO(one.value), PARSED, None)
        for batch in batches
        for one in batch.records
    ]
    return found


def test_a_csv_says_numbers_and_times_and_leaves_out_what_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_text(
        "sensor_id,timestamp,value,temperature,location,status\n"
        "a,2025-11-30T12:00:00Z,1.5,20,hall,OK\n"
        f"b,{NOON + 5000},,21.5,,WARN\n"
        "a,2025-11-30 12:00:01.250,x,20,hall,OK\n"
        "a,2025-11-30T12:00:02,2,,,BAD\n"
        ",2025-11-30T12:00:02,2,,,OK\n"
        "a,2025-11-30T13:00:03+01:00,3,,,\n"
    )
    source = ReadingsFile(path)
    assert source.count() == 6
    (batch,) = source.batches(ENCODER)
    told = [
        (one["sensor_id"], one["timestamp"] - NOON, one["received_at"] - NOON, one["value"])
        for one in read([batch])
    ]
    # The last one stands behind a reading of five seconds past: it was received with that.
    assert told == [("a", 0, 0, 1.5), ("b", 5000, 5000, None), ("a", 3000, 5000, 3.0)]
    assert [(one.row, one.reason[:30]) for one in batch.rejected] == [
        (2, "could not convert string to fl"),
        (3, batch.rejected[1].reason[:30]),
        (4, "sensor_id is missing"),
    ]
    assert "status" in batch.rejected[1].reason
    assert [one.due - NOON for one in batch.records] == [0, 5000, 5000]
    assert batch.rows == 6


def test_json_lines_are_objects_with_known_fields(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    rows = [
        {"sensor_id": "a", "timestamp": NOON, "value": 1},
        {"sensor_id": "a", "timestamp": "2025-11-30T12:00:01Z", "received_at": NOON + 60_000},
        {"sensor_id": "a", "timestamp": NOON, "colour": "red"},
        {"sensor_id": "a", "timestamp": True},
        ["a"],
    ]
    path.write_text("\n".join([*map(json.dumps, rows), "{not json", "", "  "]) + "\n")
    source = ReadingsFile(path)
    (batch,) = source.batches(ENCODER)
    assert [one["received_at"] - NOON for one in read([batch])] == [0, 60_000]
    assert [(one.row, one.reason) for one in batch.rejected] == [
        (2, "colour: no field of a reading"),
        (3, "timestamp: True is no time"),
        (4, "not a JSON object"),
        (5, "not a JSON object"),
    ]
    assert source.count() == 6


def test_a_row_of_other_bytes_is_rejected_and_the_others_are_read(tmp_path: Path) -> None:
    row = b'{"sensor_id": "%b", "timestamp": 1764504000000, "value": 1}\n'
    lines, table = tmp_path / "readings.jsonl", tmp_path / "readings.csv"
    lines.write_bytes(row % b"a" + row % b"\xe9" + row % b"b" + b'{"\xff": 1}\n')
    (batch,) = ReadingsFile(lines).batches(ENCODER)
    assert [one["sensor_id"] for one in read([batch])] == ["a", "b"]
    assert [one.row for one in batch.rejected] == [1, 3]
    assert "".join(one.reason + one.content for one in batch.rejected).encode()

    # As spreadsheets write it.
    table.write_bytes("\ufeffsensor_id,timestamp,value\na,1764504000000,1\n".encode())
    (batch,) = ReadingsFile(table).batches(ENCODER)
    assert [one["sensor_id"] for one in read([batch])] == ["a"]


def test_what_the_simulator_wrote_comes_back_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROWS_A_BATCH", 300)
    chunks = list(Simulator(Setting(rate=100.0)).chunks(1000, 1000))
    write(tmp_path, chunks)
    source = ReadingsFile(tmp_path / READINGS)
    batches = list(source.batches(ENCODER))
    assert [batch.rows for batch in batches] == [300, 600, 900, 1000]
    columns = ("sensor_id", "timestamp", "value", "temperature", "received_at")
    assert [tuple(one[name] for name in columns) for one in read(batches)] == [
        tuple(row[name] for name in columns) for row in chunks[0].table.to_pylist()
    ]
    assert [batch.rows for batch in source.batches(ENCODER, 450)] == [300, 450]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("sensor_id,timestamp,colour", r"colour is no field of a reading: sensor_id, time"),
        ("timestamp,value", "names no sensor_id or no timestamp"),
        ("", "names no sensor_id"),
    ],
)
def test_a_header_that_is_unknown_is_refused(tmp_path: Path, header: str, words: str) -> None:
    path = tmp_path / "readings.csv"
    path.write_text(header + "\n")
    with pytest.raises(UserError, match=words):
        ReadingsFile(path)
    with pytest.raises(UserError, match="is not a file"):
        ReadingsFile(tmp_path / "none.csv")


def test_a_time_ahead_makes_no_later_row_stale(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    ahead = {"sensor_id": "a", "timestamp": NOON + 365 * 86_400_000}
    broken = {"sensor_id": "a", "timestamp": NOON + 60_000, "status": "BAD"}
    rows = [{"sensor_id": "a", "timestamp": NOON}, ahead, broken]
    rows.append({"sensor_id": "a", "timestamp": NOON + 5})
    path.write_text("\n".join(map(json.dumps, rows)))
    now = NOON + 86_400_000
    source = ReadingsFile(path, lambda: now)
    (batch,) = source.batches(ENCODER)
    assert [one["received_at"] - NOON for one in read([batch])] == [0, now - NOON, 5]
    assert [one["received_at"] for one in read(list(source.batches(ENCODER, skip=3)))] == [NOON + 5]


def test_what_is_too_deep_or_too_large_is_rejected_like_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    deep = "[" * 100_000 + "]" * 100_000
    large = json.dumps({"sensor_id": "a", "timestamp": NOON, "location": "x" * 2_000_000})
    good = json.dumps({"sensor_id": "a", "timestamp": NOON})
    path.write_text("\n".join((deep, large, good)))
    (batch,) = ReadingsFile(path).batches(ENCODER)
    assert [one.row for one in batch.rejected] == [0, 1]
    assert len(batch.records) == 1

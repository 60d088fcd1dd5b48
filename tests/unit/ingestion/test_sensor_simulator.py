"""Simulated sensors: the same seed, the shares asked for, and a truth that can be checked."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from ingestion import schema
from ingestion.sensors.batches import READINGS, TRUTH, batches, write
from ingestion.sensors.simulator import OLD_MS, Setting, Shares, Simulator, Truth
from ingestion.wire.encode import RecordEncoder

SETTING = Setting(sensors=200, rate=100.0, seed=3)


def whole(setting: Setting, events: int, rows: int = 5000) -> tuple[pa.Table, list[Truth]]:
    made = list(Simulator(setting).chunks(rows, events))
    table = pa.concat_tables([one.table for one in made])
    return table, [truth for one in made for truth in one.truth]


def test_the_same_seed_makes_the_same_readings_and_another_others() -> None:
    assert whole(SETTING, 12_000) == whole(SETTING, 12_000)
    assert whole(SETTING, 12_000) != whole(Setting(sensors=200, rate=100.0, seed=4), 12_000)


@pytest.mark.slow
def test_shares_are_those_asked_for_and_the_truth_names_what_was_done() -> None:
    table, truth = whole(SETTING, 100_000)
    count = Counter(fault for _, _, fault in truth)
    assert len(table) == 100_000 - count["silent"]
    for fault, share in (("value", 0.02), ("temperature", 0.01), ("missing", 0.005)):
        assert count[fault] == pytest.approx(share * 100_000, rel=0.15)
    for fault in ("range", "old"):
        assert count[fault] == pytest.approx(500, rel=0.2)
    rows = {(row["sensor_id"], row["timestamp"]): row for row in table.to_pylist()}
    assert len(rows) == len(table), "no two readings of a sensor at one time"
    for sensor, when, fault in truth:
        row = rows.get((sensor, when))
        assert (row is None) == (fault == "silent")
        if row is None:
            continue
        assert (row["value"] is None) == (fault == "missing")
        assert (row["value"] == 9999.0) == (fault == "range")
        assert (row["received_at"] - row["timestamp"] == OLD_MS) == (fault == "old")
        if fault == "temperature":
            assert not 10 <= row["temperature"] <= 30


@pytest.mark.slow
def test_spells_last_and_are_of_single_sensors() -> None:
    shares = Shares(0, 0, 0, 0, 0, spell=0.1)
    table, truth = whole(Setting(sensors=100, rate=10.0, shares=shares), 36_000)
    by_fault = {
        fault: {sensor for sensor, _, said in truth if said == fault}
        for fault in ("silent", "drift", "stuck")
    }
    assert all(0 < len(sensors) < 25 for sensors in by_fault.values())
    assert not by_fault["silent"] & by_fault["drift"]
    stuck = next(iter(sorted(by_fault["stuck"])))
    times = {when for sensor, when, _ in truth if sensor == stuck}
    values = {
        row["value"]
        for row in table.to_pylist()
        if row["sensor_id"] == stuck and row["timestamp"] in times
    }
    assert len(values) == 1
    assert len(times) > 100


@pytest.mark.slow
def test_payments_are_amounts_one_in_ten_unusual() -> None:
    table, truth = whole(Setting(sensors=50, payments=True), 20_000)
    amounts = [row["value"] for row in table.to_pylist()]
    odd = [one for one in amounts if one <= 5 or one > 500]
    assert len(odd) == len(truth) == pytest.approx(2000, rel=0.1)
    assert all(20 <= one <= 200 for one in amounts if one not in set(odd))


def test_batches_are_records_of_the_contract_with_the_truth_beside() -> None:
    encoder = RecordEncoder(schema.load("SensorReading"), b"")
    told = io.StringIO()
    made = list(batches(Simulator(SETTING).chunks(500, 1000), encoder, told, live=True))
    table, truth = whole(SETTING, 1000, rows=500)
    records = [record for batch in made for record in batch.records]
    assert [batch.rows for batch in made] == [500, 1000]
    parsed = fastavro.parse_schema(schema.load("SensorReading"))
    read: list[Any] = [
        fastavro.schemaless_reader(io.BytesIO(one.value), parsed, None) for one in records
    ]
    assert [one["value"] for one in read] == table.column("value").to_pylist()
    assert {one["received_at"] for one in read} == {None}
    assert [one.key for one in records] == [one["sensor_id"] for one in read]
    assert [Truth(**json.loads(line)) for line in told.getvalue().splitlines()] == truth


def test_files_hold_readings_and_truth(tmp_path: Path) -> None:
    rows = write(tmp_path / "new", Simulator(SETTING).chunks(500, 1000))
    lines = {name: (tmp_path / "new" / name).read_text().splitlines() for name in rows}
    assert {name: len(found) for name, found in lines.items()} == rows
    assert rows[READINGS] == 1000
    assert json.loads(lines[READINGS][0])["sensor_id"] == "sensor-00000"
    assert set(json.loads(lines[TRUTH][0])) == {"sensor_id", "timestamp", "fault"}

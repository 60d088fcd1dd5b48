"""Checks of data sets, on files with known faults."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.quality.checks import Finding, check
from ingestion.quality.data import read
from ingestion.quality.profiles import profile_of
from scripts import validate_data_quality

T = 1_433_221_332_000
HOUR = 3_600_000
FAULTY = f"""timestamp,visitorid,event,itemid,transactionid,color
{T},1,view,2,,red
{T + 9 * HOUR},1,view,2,,red
{T + 8 * HOUR},1,view,2,,red
{T},1,view,2,,red
soon,1,view,2,,red
{T // 1000},1,view,2,,red
{T},,view,2,,red
{T},1,click,2,,red
{T},1,view
"""
GOOD = f"""timestamp,visitorid,event,itemid,transactionid
{T},1,view,2,
{T + HOUR},1,addtocart,2,
{T + 2 * HOUR},1,transaction,2,7
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(FAULTY)
    return path


def findings(path: Path, gap: int = 6 * HOUR) -> dict[tuple[str, str], Finding]:
    found = check(read(path), profile_of(path), gap).findings
    return {(one.check, one.what): one for one in found}


def test_each_fault_is_counted(path: Path) -> None:
    found = findings(path)

    told = {what: (one.level, one.rows) for what, one in found.items() if one.level != "ok"}
    assert told == {
        ("schema", "further columns"): ("note", 0),
        ("schema", "cells a row"): ("error", 1),
        ("type", "timestamp"): ("error", 1),
        ("range", "timestamp"): ("error", 1),
        ("empty", "visitorid"): ("error", 1),
        ("range", "event"): ("note", 1),
        ("duplicates", "rows"): ("note", 1),
        # From +9 to +8 hours, back to 0, and to the one in seconds; the next is later again.
        ("order", "time"): ("note", 3),
        # From 1970 to 2015, and from 0 to +8 hours.
        ("gaps", "time"): ("note", 2),
    }
    assert found["schema", "cells a row"].detail == "row 8: 3 columns, not 6"
    assert found["range", "event"].detail == "not known: click"
    assert "8.0 h from 2015-06-02T05:02:12+00:00" in found["gaps", "time"].detail


def test_a_good_file_has_none(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(GOOD)

    quality = check(read(path), profile_of(path), 6 * HOUR)

    assert (quality.errors, quality.notes, quality.rows) == (0, 0, 3)
    assert quality.facts == {
        "first": "2015-06-02T05:02:12+00:00",
        "last": "2015-06-02T07:02:12+00:00",
        "distinct visitorid": 1,
        "distinct event": 3,
        "distinct itemid": 1,
        "distinct transactionid": 1,
    }


def test_a_missing_column_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(GOOD.replace("itemid", "thing"))

    found = findings(path)["schema", "columns"]

    assert (found.level, found.detail) == ("error", "missing: itemid")


def test_parquet_has_types_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "payments.parquet"
    columns = {
        "transaction_id": [1, 2],
        "tx_datetime": pa.array([T, T + HOUR], pa.timestamp("ms")),
        "customer_id": [5, None],
        "terminal_id": [6, 6],
        "tx_amount": [1.5, float("nan")],
        "tx_fraud": [0, 1],
    }
    pq.write_table(pa.table(columns), path)

    found = {what: one.rows for what, one in findings(path).items() if one.level == "error"}

    assert found == {("empty", "customer_id"): 1, ("type", "tx_amount"): 1}


@pytest.mark.parametrize(
    ("content", "options", "code"),
    [(GOOD, [], 0), (FAULTY, [], 1), (GOOD.replace(f"{T + HOUR},1,add", f"{T},1,add"), [], 0)],
)
def test_the_exit_code_says_whether_rows_can_be_used(
    tmp_path: Path, content: str, options: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.csv"
    path.write_text(content)

    assert validate_data_quality.main([str(path), *options]) == code
    assert "3 rows of retail_rocket" in capsys.readouterr().out or code == 1


def test_notes_count_when_asked(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(GOOD + f"{T},1,view,2,\n")

    assert validate_data_quality.main([str(path), "--json"]) == 0
    assert validate_data_quality.main([str(path), "--json", "--strict"]) == 1
    report = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (report["rows"], report["errors"], report["notes"]) == (4, 0, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv"], "can't be read"),
        (["events.csv", "--profile", "kaggle"], "no data set is called kaggle"),
        (["events.csv", "--gap", "long"], "'long' is"),
        (["other.csv"], "is none of the data sets known"),
    ],
)
def test_what_cannot_be_checked_is_told_in_one_line(
    path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (path.parent / "other.csv").write_text("a,b\n1,2\n")
    file, *options = arguments

    assert validate_data_quality.main([str(path.parent / file), *options]) == 2

    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1

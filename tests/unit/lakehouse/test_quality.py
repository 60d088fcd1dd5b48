"""Checks of tables and of samples of topics."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families
from pyiceberg.catalog import Catalog
from typer.testing import CliRunner

from config.errors import UserError
from config.settings import Settings
from ingestion import schema
from lakehouse.quality.declared import FOLDER, checks
from lakehouse.quality.results import Result, export, keep
from lakehouse.quality.run import Window, of_sample, of_table
from lakehouse.query import ask
from millrace import checks as command
from tests.unit.lakehouse.lakes import EPOCH, append, bronze, lake, payments

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")

DAY = timedelta(days=1)
NOW = EPOCH + timedelta(hours=2)


@pytest.fixture
def of(tmp_path: Path) -> Catalog:
    return lake(tmp_path / "lake")


def _checked(
    con: duckdb.DuckDBPyConnection,
    of: Catalog,
    name: str,
    record: str,
    now: datetime = NOW,
    within: timedelta | None = None,
) -> dict[tuple[str, str], Result]:
    results = of_table(con, of, f"bronze.{name}", record, Window(now, within))
    return {(one.field, one.check_name): one for one in results}


def _wrong(found: dict[tuple[str, str], Result]) -> dict[tuple[str, str], int]:
    return {key: one.failed for key, one in found.items() if not one.passed}


def test_sound_rows_pass_every_check(con: duckdb.DuckDBPyConnection, of: Catalog) -> None:
    append(bronze(of, "transactions", "Transaction"), "transactions", payments(50))
    found = _checked(con, of, "transactions", "Transaction")
    assert _wrong(found) == {}
    assert found["amount", "range"].rows == 50
    names = {("amount", "finite"), ("transaction_id", "length"), ("event_time", "not null")}
    assert names <= set(found)


def test_each_kind_of_wrong_cell_is_counted(con: duckdb.DuckDBPyConnection, of: Catalog) -> None:
    rows = payments(1000)
    rows[0] |= {"amount": float("nan")}
    rows[1] |= {"amount": float("inf")}
    rows[2] |= {"amount": 1e6}
    rows[3] |= {"customer_id": ""}
    rows[4] |= {"customer_id": None}
    rows[5] |= {"event_time": None}
    append(bronze(of, "transactions", "Transaction"), "transactions", rows)
    found = _checked(con, of, "transactions", "Transaction")
    assert _wrong(found) == {
        ("amount", "finite"): 2,
        ("amount", "range"): 3,
        ("customer_id", "length"): 1,
        ("customer_id", "not null"): 1,
        ("event_time", "not null"): 1,
    }
    assert found["amount", "range"].detail == "as nan, inf, 1000000.0"
    assert all(one.stops for one in found.values() if not one.passed)


def test_repeated_rows_may_be_few(con: duckdb.DuckDBPyConnection, of: Catalog) -> None:
    table = bronze(of, "transactions", "Transaction")
    append(table, "transactions", [*payments(199), *payments(1)])
    assert _wrong(_checked(con, of, "transactions", "Transaction")) == {}
    append(table, "transactions", payments(2))
    found = _checked(con, of, "transactions", "Transaction")
    assert _wrong(found) == {("transaction_id", "unique"): 3}
    assert found["transaction_id", "unique"].observed == pytest.approx(3 / 202)


def test_a_symbol_a_range_and_a_reference(con: duckdb.DuckDBPyConnection, of: Catalog) -> None:
    append(bronze(of, "transactions", "Transaction"), "transactions", payments(10))
    score = {"score": 0.5, "decision": "approve", "late": False, "sequence": 0}
    text = {"model_version": "m", "feature_set_version": "f"}
    times = {"produced_at": EPOCH, "features_at": EPOCH, "scored_at": EPOCH}
    rows = [{**one, **score, **text, **times} for one in payments(12)]
    rows[0] |= {"decision": "perhaps"}
    rows[1] |= {"score": 1.5}
    append(bronze(of, "fraud_scores", "FraudScore"), "fraud-scores", rows)
    found = _checked(con, of, "fraud_scores", "FraudScore")
    assert _wrong(found) == {
        ("decision", "symbols"): 1,
        ("score", "range"): 1,
        ("transaction_id", "in bronze.transactions"): 2,
    }


def test_what_is_referred_to_must_be_there(con: duckdb.DuckDBPyConnection, of: Catalog) -> None:
    label = {"transaction_id": "t", "event_time": EPOCH, "customer_id": "c", "terminal_id": "k"}
    append(bronze(of, "fraud_labels", "FraudLabel"), "t", [{**label, "is_fraud": True}])
    found = _checked(con, of, "fraud_labels", "FraudLabel")
    assert found["transaction_id", "in bronze.transactions"].detail == (
        "there is no bronze.transactions"
    )


def test_stale_and_thin_tables_are_told_and_stop_nothing(
    con: duckdb.DuckDBPyConnection, of: Catalog
) -> None:
    table = bronze(of, "transactions", "Transaction")
    for day, count in enumerate((100, 80, 120, 10)):
        append(
            table, "transactions", payments(count, EPOCH.replace(hour=0) + day * DAY, day * 1000)
        )
    found = _checked(con, of, "transactions", "Transaction", EPOCH + 4 * DAY)
    late = {key: one for key, one in found.items() if not one.passed}
    assert {key: one.level for key, one in late.items()} == {
        ("", "freshness"): "warning",
        ("", "volume"): "warning",
    }
    assert late["", "volume"].observed == pytest.approx(10 / 100)
    assert late["", "freshness"].observed == pytest.approx(96, abs=0.01)
    assert not any(one.stops for one in late.values())


def test_only_the_window_is_looked_at(con: duckdb.DuckDBPyConnection, of: Catalog) -> None:
    table = bronze(of, "transactions", "Transaction")
    append(table, "transactions", [{**one, "amount": -1e9} for one in payments(5)])
    young = [{**one, "_ingested_at": NOW - timedelta(hours=1)} for one in payments(5, first=5)]
    append(table, "transactions", young)
    later = [{**one, "amount": 1e9, "_ingested_at": NOW} for one in payments(5, first=10)]
    append(table, "transactions", later)
    within = _checked(con, of, "transactions", "Transaction", NOW, timedelta(hours=1))
    assert (_wrong(within), within["amount", "range"].rows) == ({}, 5)
    assert _wrong(_checked(con, of, "transactions", "Transaction")) == {("amount", "range"): 10}
    by_event = Window(EPOCH + timedelta(minutes=3), timedelta(minutes=2), "event_time")
    results = of_table(con, of, "bronze.transactions", "Transaction", by_event)
    assert {one.rows for one in results if one.field == "amount"} == {6}, "two minutes of each"


def test_a_table_that_lacks_a_column_fails(con: duckdb.DuckDBPyConnection, of: Catalog) -> None:
    table = bronze(of, "transactions", "Transaction")
    with table.update_schema() as update:
        update.delete_column("amount")
    append(table, "transactions", [{k: v for k, v in payments(1)[0].items() if k != "amount"}])
    assert _wrong(_checked(con, of, "transactions", "Transaction")) == {("amount", "type"): 1}


def test_a_sample_of_a_topic_is_checked_alike() -> None:
    ms = int(EPOCH.timestamp() * 1000)
    rows: list[dict[str, Any]] = [{**one, "event_time": ms} for one in payments(3)]
    rows[1] |= {"amount": -1e9}
    found = {
        (one.field, one.check_name): one for one in of_sample("transactions", "Transaction", rows)
    }
    assert _wrong(found) == {("amount", "range"): 1}
    assert found["amount", "range"].subject == "transactions"


def test_results_are_kept_and_exported(
    con: duckdb.DuckDBPyConnection, of: Catalog, tmp_path: Path
) -> None:
    rows = [*payments(3), {**payments(1, first=9)[0], "amount": -1e9}]
    append(bronze(of, "transactions", "Transaction"), "transactions", rows)
    results = list(_checked(con, of, "transactions", "Transaction").values())
    keep(of, results, NOW)
    keep(of, results, NOW + DAY)
    keep(of, results, NOW + DAY)  # done again for the same date, it counts once
    query = (
        "select subject, field, failed, snapshot_id from ops.data_quality "
        "where not passed order by checked_at"
    )
    snapshot = of.load_table("bronze.transactions").metadata.current_snapshot_id
    assert list(ask(con, of, query).rows) == [("bronze.transactions", "amount", 1, snapshot)] * 2
    file = tmp_path / "metrics" / "data_quality.prom"
    export(results, file, NOW)
    metrics = {one.name: one.samples for one in text_string_to_metric_families(file.read_text())}
    failed = {
        one.labels["check"]: one.value
        for one in metrics["millrace_data_quality_failed_rows"]
        if one.labels["column"] == "amount"
    }
    assert failed == {"type": 0, "not null": 0, "finite": 0, "range": 1}
    (checked,) = metrics["millrace_data_quality_checked_timestamp_seconds"]
    assert checked.value == NOW.timestamp()


def test_every_declaration_is_of_a_contract_and_can_be_read() -> None:
    declared = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    assert declared
    assert set(declared) <= set(schema.names())
    for name in schema.names():
        assert checks(name).record == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ranges: {amuont: {least: 0}}", "Transaction has no field 'amuont'"),
        ("uniqe: {columns: [amount]}", "no check is called uniqe"),
        ("unique: {columns: [amount], shar: 1}", "unexpected keyword argument 'shar'"),
    ],
)
def test_a_mistake_in_a_declaration_is_told(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "Transaction.yaml").write_text(text)
    with pytest.raises(UserError, match=words):
        checks("Transaction", tmp_path)


def test_what_was_fresh_in_the_past_is_asked_of_what_was_there_then(
    con: duckdb.DuckDBPyConnection, of: Catalog
) -> None:
    """`payments` are ingested as they happen; those of day 4 say nothing of day 2."""
    table = bronze(of, "transactions", "Transaction")
    append(table, "transactions", payments(5))
    append(table, "transactions", [{**one, "_ingested_at": EPOCH + 4 * DAY} for one in payments(1)])
    found = {
        days: _checked(con, of, "transactions", "Transaction", EPOCH + days * DAY)["", "freshness"]
        for days in (-1, 2, 4)
    }
    assert {days: one.passed for days, one in found.items()} == {-1: False, 2: False, 4: True}
    assert found[-1].detail == "no rows"
    assert found[2].observed == pytest.approx(48, abs=0.1)


def test_results_of_the_past_are_not_exported_as_current(
    of: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(bronze(of, "transactions", "Transaction"), "transactions", payments(3))
    monkeypatch.setattr(command, "settings", lambda: Settings(state_dir=tmp_path))
    monkeypatch.setattr("lakehouse.catalog.catalog", lambda _: of)
    app = typer.Typer(callback=lambda: None)
    command.register(app)
    file = tmp_path / "metrics" / "data_quality.prom"
    line = ["checks", "bronze.transactions", "--json"]
    CliRunner().invoke(app, [*line, "--at", "2026-03-02T00:00Z"], catch_exceptions=False)
    assert of.load_table("ops.data_quality").scan().count() > 0
    assert not file.exists()
    CliRunner().invoke(app, line, catch_exceptions=False)
    assert file.exists()

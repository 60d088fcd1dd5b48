"""Queries over the lake."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.types import StringType

from config.errors import UserError
from lakehouse import reading
from lakehouse.query import ask
from lakehouse.reading import Moment
from tests.unit.lakehouse.lakes import EPOCH, append, bronze, lake, payments

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    found = lake(tmp_path / "lake")
    table = bronze(found, "transactions", "Transaction")
    append(table, "transactions", payments(20))
    append(table, "transactions", payments(5, datetime(2026, 3, 4, tzinfo=UTC), 20))
    bronze(found, "fraud_labels", "FraudLabel")
    return found


def _asked(con: duckdb.DuckDBPyConnection, catalog: Catalog, query: str, **at: Any) -> list[Any]:
    return list(ask(con, catalog, query, Moment(**at)).rows)


def test_sums_are_those_of_the_rows(con: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    found = ask(con, catalog, "select count(*) n, sum(amount) s from bronze.transactions")
    assert found.columns == ("n", "s")
    scanned = catalog.load_table("bronze.transactions").scan().to_arrow()
    (row,) = found.rows
    assert row == (25, pytest.approx(pc.sum(scanned["amount"]).as_py()))


def test_every_column_reads_as_pyiceberg_reads_it(
    con: duckdb.DuckDBPyConnection, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = bronze(catalog, "alerts", "Alert")
    rows = [
        {"alert_id": "a", "event_time": EPOCH, "severity": "info", "details": [("k", "v")]},
        {"alert_id": "b", "event_time": EPOCH, "message": None, "details": []},
    ]
    append(table, "alerts", rows)
    with table.update_schema() as update:
        update.add_column("owner", StringType())
        update.rename_column("message", "sentence")
    append(table, "alerts", [{"alert_id": "c", "event_time": EPOCH, "owner": "me"}])
    query = "select * from bronze.alerts order by alert_id"

    def arrow() -> list[Any]:
        return list(con.sql(query).to_arrow_table().to_pylist())

    list(ask(con, catalog, query).rows)
    wanted = table.scan().to_arrow().sort_by("alert_id").to_pylist()
    assert arrow() == wanted

    # As files elsewhere are read: by name, so without what was renamed.
    monkeypatch.setattr(reading, "_is_local", lambda _: False)
    list(ask(con, catalog, query).rows)
    assert arrow() == wanted


def test_an_empty_table_has_its_columns(con: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    found = ask(con, catalog, "select * from bronze.fraud_labels")
    assert {"transaction_id", "event_time", "_offset"} <= set(found.columns)
    assert list(found.rows) == []


def test_filters_and_columns_reach_the_files(
    con: duckdb.DuckDBPyConnection, catalog: Catalog
) -> None:
    query = "explain select transaction_id from bronze.transactions where amount > 12"
    (plan,) = _asked(con, catalog, query)
    assert "Filters: amount > 12.0" in " ".join(plan[1].split())
    assert "customer_id" not in plan[1]


def test_the_past_is_as_it_was(con: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    first, second = catalog.load_table("bronze.transactions").history()
    query = "select count(*) from bronze.transactions"
    assert _asked(con, catalog, query, snapshot=first.snapshot_id) == [(20,)]
    between = datetime.fromtimestamp(second.timestamp_ms / 1000 - 0.0005, UTC)
    assert _asked(con, catalog, query, at=between) == [(20,)]
    assert _asked(con, catalog, query) == [(25,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("select * from bronze.transaction", "did you mean bronze.transactions?"),
        ("select * from transactions", "did you mean bronze.transactions?"),
        ("select * from gold.nothing_like_it", "there are: bronze.fraud_labels, bronze.trans"),
        ("select * form bronze.transactions", "syntax error .*line 1, at 'bronze.transactions'"),
        ("select nope from bronze.transactions", '"nope" not found'),
        ("drop table bronze.transactions", "only read; this is DROP"),
        ("copy (select 1) to 'x.csv'", "only read; this is COPY"),
        ("insert into bronze.transactions values (1)", "only read; this is INSERT"),
        ("select 1; select 2", "one statement at a time; here are 2"),
        ("", "one statement at a time; here are 0"),
        ("select cast(transaction_id as int) from bronze.transactions", "Could not convert"),
    ],
)
def test_what_cannot_be_answered_is_told_in_a_line(
    con: duckdb.DuckDBPyConnection, catalog: Catalog, query: str, words: str
) -> None:
    with pytest.raises(UserError, match=words) as refused:
        list(ask(con, catalog, query).rows)
    assert "\n" not in str(refused.value)


def test_a_snapshot_is_of_one_table(con: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    both = "select 1 from bronze.transactions, bronze.fraud_labels"
    with pytest.raises(UserError, match="use --at"):
        _asked(con, catalog, both, snapshot=1)
    with pytest.raises(UserError, match="no snapshot 1"):
        _asked(con, catalog, "select 1 from bronze.transactions", snapshot=1)
    with pytest.raises(UserError, match="as old as 2020"):
        _asked(con, catalog, "from bronze.transactions", at=datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.slow
def test_a_pivot_and_a_nested_name_find_their_tables(
    con: duckdb.DuckDBPyConnection, catalog: Catalog
) -> None:
    pivot = "pivot bronze.transactions on terminal_id using count(*) group by customer_id"
    assert len(_asked(con, catalog, pivot)) == 7
    nested = "with c as (select * from (select amount from bronze.transactions)) from c"
    assert len(_asked(con, catalog, nested)) == 25


@pytest.mark.slow
def test_a_reader_keeps_its_snapshot_while_rows_arrive(
    con: duckdb.DuckDBPyConnection, catalog: Catalog
) -> None:
    found = ask(con, catalog, "select transaction_id from bronze.transactions")
    append(catalog.load_table("bronze.transactions"), "transactions", payments(3, first=50))
    assert len(list(found.rows)) == 25
    assert pa.table({"n": [28]})["n"].to_pylist() == [
        _asked(con, catalog, "select count(*) from bronze.transactions")[0][0]
    ]

"""`millrace sql` as a person and a script meet it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from config.errors import UserError
from config.settings import settings
from lakehouse.catalog import catalog
from millrace.cli.main import build
from millrace.cli.sql import moment_of
from tests.unit.lakehouse.lakes import EPOCH, append, bronze, payments

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")


@pytest.fixture(autouse=True)
def _lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_settings: None) -> None:
    del fresh_settings
    monkeypatch.setenv("MILLRACE_STATE_DIR", str(tmp_path / "state"))
    settings.cache_clear()
    table = bronze(catalog(settings()), "transactions", "Transaction")
    append(table, "transactions", payments(150))


def _run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(build("sql"), ["sql", *arguments], input=given)


@pytest.mark.slow
def test_json_is_exact_and_has_no_word_that_json_lacks() -> None:
    query = (
        "select amount::decimal(18,2) as money, 'NaN'::double as nothing, event_time as at, "
        "[1, 2] as list, {'a': null} as struct, true as yes, 'ä' as text, event_time::date as day "
        "from bronze.transactions order by _offset"
    )
    told = _run(query, "--json", "--limit", "2")
    assert json.loads(told.stdout)[0] == {
        "money": "10.00",
        "nothing": None,
        "at": "2026-03-01T12:00:00.000Z",
        "list": [1, 2],
        "struct": {"a": None},
        "yes": True,
        "text": "ä",
        "day": "2026-03-01",
    }
    assert len(json.loads(told.stdout)) == 2
    assert len(json.loads(_run("select 1 from bronze.transactions", "--json").stdout)) == 150
    assert json.loads(_run("select 1 where false", "--json").stdout) == []


def test_csv_is_read_back_by_a_csv_reader() -> None:
    told = _run("select 'a,\"b\nc' as odd, null as none, 0.5 as half", "--csv")
    assert list(csv.reader(io.StringIO(told.stdout))) == [
        ["odd", "none", "half"],
        ['a,"b\nc', "", "0.5"],
    ]


def test_a_person_sees_a_hundred_rows_and_that_there_are_more() -> None:
    told = _run("select transaction_id as id from bronze.transactions order by _offset")
    assert "t99" in told.stdout
    assert "t100" not in told.stdout
    assert "the first 100 rows; --limit shows more" in told.stderr
    assert "more" not in _run("select 1 as one").stderr


def test_rows_too_wide_for_the_screen_are_told_one_below_the_other() -> None:
    told = _run("select * from bronze.transactions order by _offset", "--limit", "2")
    lines = [line.rstrip() for line in told.stdout.splitlines()]
    assert "transaction_id  t0" in lines
    assert "transaction_id  t1" in lines
    assert max(map(len, lines)) <= 80


def test_a_query_may_come_by_standard_input_and_none_lists_the_tables() -> None:
    assert json.loads(_run("-", "--json", given="select 7 as n").stdout) == [{"n": 7}]
    assert json.loads(_run("--json").stdout) == [{"table": "bronze.transactions"}]


def test_times_are_in_utc_unless_said() -> None:
    assert moment_of("2026-03-01T12:00") == EPOCH
    assert moment_of("2026-03-01T13:00+01:00") == EPOCH
    with pytest.raises(UserError, match="'yesterday' is no time"):
        moment_of("yesterday")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["select 1", "--json", "--csv"], "say --json or --csv"),
        (["select 1", "--at", "2026-03-01", "--snapshot", "1"], "say --snapshot or --at"),
        (["from bronze.transactions", "--at", "2020-01-01"], "no snapshot .* as old as 2020"),
    ],
)
def test_what_does_not_go_together_is_refused(line: list[str], words: Any) -> None:
    with pytest.raises(UserError, match=words):
        CliRunner().invoke(build("sql"), ["sql", *line], catch_exceptions=False)

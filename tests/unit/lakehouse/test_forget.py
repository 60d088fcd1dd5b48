"""A person leaves Redis, lake and training sets; what is away or remains is told."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from config.errors import RetryableError
from config.files import locked
from config.settings import Settings
from lakehouse import locks
from lakehouse.marts import run as marts
from lakehouse.marts.run import Outcome
from millrace import forgetting
from millrace.cli import forget as command
from millrace.forgetting import Forgotten, forget, frames
from millrace.stack.layout import Layout
from orchestration.retraining.handover import Run
from orchestration.training.frame import Frame
from tests.unit.lakehouse.fraud_lake import START, FraudLake, pay
from tests.unit.lakehouse.lakes import lake

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def current(tmp_path: Path) -> Settings:
    return Settings.model_validate(
        {
            "state_dir": tmp_path,
            "lake_catalog_uri": f"sqlite:///{tmp_path / 'catalog.db'}",
            "lake_warehouse": f"file://{tmp_path / 'warehouse'}",
        }
    )


@pytest.fixture(autouse=True)
def _listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The customer is on one list."""
    monkeypatch.setattr(forgetting, "unlisted", lambda *_: 1)


def _frame(current: Settings, product: str, *customers: str) -> Run:
    run = Run.of(Layout.of(current).retraining, product, NOW)
    count = len(customers)
    run.put_frame(
        Frame(
            ("amount",),
            np.zeros((count, 1)),
            np.zeros(count, np.bool_),
            np.zeros(count, np.int64),
            np.array(customers, np.str_),
        )
    )
    return run


def test_frames_that_hold_the_customer_go(current: Settings) -> None:
    holds, other = _frame(current, "fraud", "c1", "c2"), _frame(current, "else", "c22")
    folder = Layout.of(current).retraining
    holds.put("extract", {})
    other.put("extract", {})
    assert frames(folder, "c2") == ([holds.folder / "frame.parquet"], [])
    assert (holds.has_rows(), other.has_rows()) == (False, True)
    assert holds.get("extract") is None, "its snapshots are gone with the rows"
    assert other.get("extract") == {}
    assert frames(folder, "c2") == ([], [])


def test_sessions_without_their_visitors_stay(current: Settings) -> None:
    folder = Layout.of(current).retraining
    run = Run.of(folder, "recommender", NOW)
    run.put_rows(pa.table({"items": [["c2", "i1"]]}))
    assert frames(folder, "c2") == ([], [])
    assert run.has_rows()


def test_a_torn_draft_goes_and_a_torn_frame_is_told(current: Settings) -> None:
    holds, other = _frame(current, "fraud", "c1"), _frame(current, "else", "c1")
    draft = holds.folder / ".frame.parquet"
    for path in (draft, other.folder / "frame.parquet"):
        path.write_bytes(b"PAR1junk")
    removed, failed = frames(Layout.of(current).retraining, "c1")
    assert removed == [draft, holds.folder / "frame.parquet"]
    assert [one.partition(": ")[0] for one in failed] == [str(other.folder / "frame.parquet")]


@pytest.mark.parametrize("which", ["backfills", "builds", "extraction"])
def test_who_has_read_the_person_is_waited_for(
    current: Settings, tmp_path: Path, which: str
) -> None:
    """Else what they make of it comes after the removal."""
    FraudLake(lake(tmp_path)).log([pay("a", START, "x", "k"), pay("b", START, "y", "k")])
    run = Run.of(Layout.of(current).retraining, "fraud", NOW)
    lock = {
        "backfills": locks.backfills(current),
        "builds": locks.builds(current),
        "extraction": run.folder / ".lock",
    }[which]
    ended: list[Forgotten] = []
    thread = threading.Thread(
        target=lambda: ended.append(
            forget(current, "x", redis=lambda _: {"keys": 0, "file_rewritten": True})
        )
    )
    with locked(lock):
        thread.start()
        thread.join(0.7)
        assert thread.is_alive()
        _frame(current, "fraud", "x")
    thread.join(30)
    assert [one["rows"] for one in ended[0].lake] == [1]
    assert not run.has_rows()


def test_nobody_is_waited_for_without_end(
    current: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be removed meanwhile is; the rest is told, and removed when it is typed again."""
    monkeypatch.setattr(forgetting, "PATIENCE_S", 0.3)
    FraudLake(lake(tmp_path)).log([pay("a", START, "x", "k")])
    busy, free = _frame(current, "else", "x"), _frame(current, "fraud", "x")

    def done() -> Forgotten:
        return forget(current, "x", redis=lambda _: {"keys": 0, "file_rewritten": True})

    with locked(locks.backfills(current)), locked(busy.folder / ".lock"):
        told = done()
    assert told.lake == []
    assert [one.partition(" is still at work after 0.3 s")[0] for one in told.failed] == [
        "lake: a backfill or a handover",
        f"a step of the retraining in {busy.folder}",
    ]
    assert (busy.has_rows(), free.has_rows()) == (True, False)
    told = done()
    assert (told.failed, [one["rows"] for one in told.lake]) == ([], [1])
    assert not busy.has_rows()


def test_marts_are_made_anew_without_their_tests(
    current: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = FraudLake(lake(tmp_path))
    rows = pa.table({"customer_id": ["x", "y"]})
    of.lake.create_table("gold.customer_value", rows.schema).append(rows)
    asked: list[dict[str, object]] = []

    def build(_settings: Settings, _now_ms: int, **how: object) -> Outcome:
        asked.append(how)
        return Outcome(1, (), ())

    monkeypatch.setattr(marts, "build", build)
    done = forget(current, "x", redis=lambda _: {"keys": 0, "file_rewritten": True})
    assert (done.failed, asked) == ([], [{"full_refresh": True, "test": False, "held": True}])


def test_without_the_lakes_libraries_the_rest_goes_and_is_told(
    current: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _frame(current, "fraud", "x")
    monkeypatch.delitem(sys.modules, "lakehouse.catalog", raising=False)
    monkeypatch.setitem(sys.modules, "pyiceberg.catalog", None)
    done = forget(current, "x", redis=lambda _: {"keys": 0, "file_rewritten": True})
    assert [one.partition(" (")[0] for one in done.failed] == [
        "lake: its libraries are not installed"
    ]
    assert len(done.frames) == 1
    assert not any(one.where.startswith("the lake, records") for one in done.remains)


def test_redis_that_takes_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("x", 600)

    monkeypatch.setattr(subprocess, "run", slow)
    with pytest.raises(RetryableError, match="Redis: not done within 600 s"):
        forgetting.from_redis("x")


def test_what_stays_is_named_also_where_the_lake_has_nothing(
    current: Settings, tmp_path: Path
) -> None:
    FraudLake(lake(tmp_path))
    done = forget(current, "abc", redis=lambda _: {"keys": 0, "file_rewritten": True})
    where = {one.where for one in done.remains}
    assert {
        "the lake, records that its job has read and not committed",
        "the lake, bronze.quarantine",
        "rejected rows of files",
        "the shop",
    } <= where
    longer = forget(current, "abcd", redis=lambda _: {"keys": 0, "file_rewritten": True})
    assert "the lake, bronze.quarantine" not in {one.where for one in longer.remains}


def test_all_is_removed_and_what_remains_is_told_with_its_time(
    current: Settings, tmp_path: Path
) -> None:
    FraudLake(lake(tmp_path)).log([pay("a", START, "x", "k"), pay("b", START, "y", "k")])
    _frame(current, "fraud", "x")
    done = forget(
        current, "x", redis=lambda _: {"keys": 3, "file_rewritten": True}, now=lambda: NOW
    )
    assert done.failed == []
    assert [(one["table"], one["rows"]) for one in done.lake] == [("bronze.transactions", 1)]
    assert len(done.frames) == 1
    until = {one.where: one.until for one in done.remains}
    (week,) = [name for name in until if name.startswith("Kafka, transactions, ")]
    assert until[week] == "2026-03-08T00:00:00+00:00"
    (month,) = [name for name in until if name.startswith("Kafka, ") and "quarantine" in name]
    assert until[month] == "2026-03-31T00:00:00+00:00"
    # Three times the longest window of 60 days, and 30 more until RocksDB compacts.
    state = "Flink, state of fraud_features and its checkpoints"
    assert until[state] == "2026-09-27T00:00:00+00:00"
    assert until["Flink, savepoints"] is None
    assert (done.lists, until["Kafka, fraud-lists"]) == (1, None)


def test_a_part_that_is_away_fails_alone(
    current: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FraudLake(lake(tmp_path)).log([pay("a", START, "x", "k")])

    def away(_: str) -> dict[str, object]:
        raise RetryableError("Redis: nobody answers")

    def unread(*_: object) -> int:
        raise RetryableError("fraud-lists cannot be read")

    monkeypatch.setattr(forgetting, "from_redis", away)
    monkeypatch.setattr(forgetting, "unlisted", unread)
    monkeypatch.setattr(command, "settings", lambda: current)
    app = typer.Typer(callback=lambda: None)
    command.register(app)
    ended = CliRunner().invoke(app, ["forget", "x", "--yes", "--json"])
    assert ended.exit_code == 1
    told = json.loads(ended.stdout)
    assert told["failed"] == ["Redis: nobody answers", "lists: fraud-lists cannot be read"]
    assert told["lake"][0]["rows"] == 1
    page = CliRunner().invoke(app, ["forget", "x"], input="y\n")
    assert "no table has the customer" in page.stdout
    assert "what remains where" in page.stdout


def test_nobody_is_removed_without_a_yes(
    current: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = FraudLake(lake(tmp_path))
    of.log([pay("a", START, "x", "k")])
    monkeypatch.setattr(command, "settings", lambda: current)
    app = typer.Typer(callback=lambda: None)
    command.register(app)
    assert CliRunner().invoke(app, ["forget", "x"], input="n\n").exit_code == 1
    assert CliRunner().invoke(app, ["forget", "x", "--json"]).exit_code != 0
    assert of.lake.load_table("bronze.transactions").scan().count() == 1

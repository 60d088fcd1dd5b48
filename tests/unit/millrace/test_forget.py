"""A person leaves Redis, lake and training sets; what is away or remains is told."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from config.errors import RetryableError
from config.settings import Settings
from millrace import forgetting
from millrace.cli import forget as command
from millrace.forgetting import forget, frames
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
    assert frames(folder, "c2") == [holds.folder / "frame.parquet"]
    assert (holds.has_frame(), other.has_frame()) == (False, True)
    assert frames(folder, "c2") == []


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
    assert until["Kafka, quarantine"] == "2026-03-31T00:00:00+00:00"
    # Three times the longest window of 30 days, and 30 more until RocksDB compacts.
    state = "Flink, state of fraud_features and its checkpoints"
    assert until[state] == "2026-06-29T00:00:00+00:00"
    assert until["Flink, savepoints"] is None


def test_a_part_that_is_away_fails_alone(
    current: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FraudLake(lake(tmp_path)).log([pay("a", START, "x", "k")])

    def away(_: str) -> dict[str, object]:
        raise RetryableError("Redis: nobody answers")

    monkeypatch.setattr(forgetting, "from_redis", away)
    monkeypatch.setattr(command, "settings", lambda: current)
    app = typer.Typer(callback=lambda: None)
    command.register(app)
    ended = CliRunner().invoke(app, ["forget", "x", "--yes", "--json"])
    assert ended.exit_code == 1
    told = json.loads(ended.stdout)
    assert told["failed"] == ["Redis: nobody answers"]
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

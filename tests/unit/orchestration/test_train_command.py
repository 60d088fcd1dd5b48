from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.errors import UserError
from config.logging import for_command
from config.settings import Settings
from millrace.cli import train
from millrace.stack import batch

runner = CliRunner()


def _missing(layout: object) -> tuple[str, ...]:
    raise UserError("no Java found")


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(train, "settings", lambda: Settings(state_dir=tmp_path))
    for_command(Settings())  # as the application does for every command
    # Without Java: tests/integration/test_training_kernel.py has it.
    monkeypatch.setattr(batch, "command", _missing)
    return tmp_path / "models" / "fraud"


@pytest.mark.slow  # trains
def test_json_on_standard_output(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["fraud", "--simulate", "--days", "24", "--customers", "60", "--strikes", "80"]
    options += ["--seed", "5"]
    options += ["--review-rate", "0.01"]
    result = runner.invoke(train.app, [*options, "--json"])
    assert result.exit_code == 0, result.output
    card = json.loads(result.stdout)
    assert (card["promoted"], (models / "current").exists()) == (False, False)
    assert card["details"]["targets"]["review_rate"] == 0.01
    assert (
        card["details"]["data"]["source"]
        == "simulation of 24 days, 60 customers, 80 strikes, seed 5"
    )
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["reason"] for line in lines if line["level"] == "warning"] == ["no Java found"]
    assert {line["stage"] for line in lines if line["event"] == "training"} == {"features", "trees"}
    shown = runner.invoke(train.app, options)
    assert "average precision" in shown.stdout
    assert "share of fraud" in shown.stdout
    priced = runner.invoke(train.app, [*options, "--thresholds", "cost", "--json"])
    costs = json.loads(priced.stdout)["details"]["costs"]
    assert costs == {"review": 4.0, "blocked": 20.0, "passed": 1.0}
    assert f"  millrace model promote fraud {card['version']}\n" in shown.stdout
    followed: list[str] = []
    monkeypatch.setattr(train, "follow", lambda _, product: followed.append(product))
    promoted = runner.invoke(train.app, [*options, "--promote"])
    assert followed == ["fraud"]
    assert f"current: {card['version']}\n" in promoted.stdout
    assert (models / "current").read_text().strip() == card["version"]


@pytest.mark.parametrize("arguments", [["fraud"], ["fraud", "--simulate", "--rows", "5"]])
def test_what_to_train_on_must_be_said(models: Path, arguments: list[str]) -> None:
    result = runner.invoke(train.app, arguments)
    assert isinstance(result.exception, UserError)
    assert not models.exists()


@pytest.mark.parametrize("option", ["--block-precision", "--review-rate", "--review-precision"])
@pytest.mark.parametrize("value", ["1.1", "-0.1", "nan"])
def test_targets_are_shares(models: Path, option: str, value: str) -> None:
    result = runner.invoke(train.app, ["fraud", "--simulate", option, value])
    assert isinstance(result.exception, UserError)
    assert str(result.exception).endswith(f"is {value}, not between 0 and 1")
    assert not models.exists()

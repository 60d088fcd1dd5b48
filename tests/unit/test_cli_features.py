from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.errors import UserError
from config.settings import Settings
from domain.fraud.catalogue import CUSTOMER
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from millrace.cli.features import app
from millrace.stack.layout import Layout
from orchestration.shelf.store import Store

runner = CliRunner()


def test_the_list_for_programs_names_all_that_is_asked_of_it() -> None:
    found = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    by_name = {feature["name"]: feature for feature in found}
    assert set(FRAUD.model) - {"amount"} <= by_name.keys()
    risk = by_name["terminal_risk_7d"]
    assert {key: risk[key] for key in ("entity", "aggregate", "window", "filter")} == {
        "entity": "terminal",
        "aggregate": "share",
        "window": "7d",
        "filter": [{"column": "kind", "op": "eq", "value": "label"}],
    }
    assert all(feature["description"] for feature in found)
    assert by_name["is_night"]["entity"] == "row"


def test_the_list_for_people_holds_every_name_whole() -> None:
    out = runner.invoke(app, ["list"], env={"COLUMNS": "200"}).stdout
    assert all(name in out for name in FRAUD.features if name != "amount")


@pytest.mark.parametrize("version", [GRAPH.version, "fraud-older"])
def test_the_current_model_says_how_much_each_feature_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    here = Settings.model_validate({"state_dir": tmp_path})
    monkeypatch.setattr("millrace.cli.features.settings", lambda: here)
    store = Store(Layout.of(here).current_model("fraud").parent)
    gains = {"customer_zscore_30d": 0.75, "terminal_plain_28d": 0.0}
    store.publish(
        "m1",
        "lightgbm",
        {},
        feature_set_version=version,
        features=(*gains,),
        details={"importance": gains},
    )
    (store.folder / "current").write_text("m1")
    found = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    told = {one["name"]: one["importance"] for one in found if one["importance"] is not None}
    assert told == (gains if version == GRAPH.version else {})
    out = runner.invoke(app, ["list"], env={"COLUMNS": "200"}).stdout
    assert ("75.0%" in out) == (version == GRAPH.version)


def test_show_tells_of_one_feature() -> None:
    out = runner.invoke(app, ["show", "terminal_risk_7d"]).stdout
    assert "is_fraud = True" in out


def test_show_tells_a_program_what_the_list_does() -> None:
    listed = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    shown = json.loads(runner.invoke(app, ["show", "terminal_risk_7d", "--json"]).stdout)
    assert shown == next(feature for feature in listed if feature["name"] == "terminal_risk_7d")


def test_spec_prints_what_the_kernel_gets() -> None:
    assert json.loads(runner.invoke(app, ["spec", "customer"]).stdout) == CUSTOMER.spec()


@pytest.mark.parametrize("command", [["show", "nothing"], ["spec", "nothing"]])
def test_an_unknown_name_is_told_on_one_line(command: list[str]) -> None:
    failed = runner.invoke(app, command).exception
    assert isinstance(failed, UserError)
    assert "nothing" in str(failed)

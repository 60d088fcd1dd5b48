from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from config.errors import UserError
from domain.fraud.features import CUSTOMER, FRAUD
from millrace.cli.features import app

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
    assert all(name in out for name in FRAUD.model if name != "amount")


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

"""`millrace model`, on models that nobody trained."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from config.errors import UserError
from config.health import serve
from config.products import consumers
from config.settings import Settings
from millrace.cli import main, model, shadowing
from orchestration.shelf.store import Store
from serving.consumers.health import Health

runner = CliRunner()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for module in (model, shadowing):
        monkeypatch.setattr(module, "settings", lambda: Settings(state_dir=tmp_path))
    return Store(tmp_path / "models" / "toys", now=lambda: 1_700_000_000.0)


def publish(store: Store, *versions: str) -> None:
    for version in versions:
        store.publish(
            version, "index", {"i": b""}, feature_set_version="toys-1", features=(), details={}
        )


def told(*line: str) -> str:
    result = runner.invoke(model.app, line)
    assert result.exit_code == 0, result.exception
    return result.stdout


def answer(*line: str) -> Any:
    return json.loads(told(*line, "--json"))


def test_promote_and_roll_back(store: Store) -> None:
    publish(store, "v1", "v2", "v3")
    assert told("promote", "toys", "v1") == "toys: v1 is current\n"
    assert told("promote", "toys", "v1") == "toys: v1 is current already\n"
    assert told("promote", "toys", "latest") == "toys: v3 is current, before v1\n"
    assert told("rollback", "toys") == "toys: v1 is current again, v3 is withdrawn\n"
    assert answer("promote", "toys", "v2") == {"product": "toys", "version": "v2", "before": "v1"}
    assert answer("rollback", "toys") == {"product": "toys", "version": "v1", "withdrawn": "v2"}
    assert store.current() == "v1"


def test_the_list(store: Store) -> None:
    assert answer("list") == []
    assert "millrace train fraud" in told("list")
    publish(store, "v1", "v2")
    store.promote("v1")
    (store.folder / "v2" / "model.json").write_text("")
    first, second = answer("list", "toys")
    assert first == {
        "product": "toys",
        "version": "v1",
        "state": "current",
        "kind": "index",
        "feature_set_version": "toys-1",
        "published": "2023-11-14T22:13:20+00:00",
        "trouble": "",
        "shadow": False,
        "run": "",
        "waiting": "",
    }
    assert second["trouble"].startswith("v2: model.json: ")
    assert answer("list") == [first, second]
    shown = told("list").splitlines()
    assert shown[1].split()[:4] == ["toys", "v1", "current", "index"]
    assert shown[2].split()[:3] == ["toys", "v2", "damaged"]


def test_a_challenger_is_named_listed_and_taken_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadowing, "PRODUCTS", ("toys",))
    publish(store, "v1", "v2", "v3")
    store.promote("v1")
    assert told("shadow", "toys") == "toys: nothing scores beside\n"
    assert told("shadow", "toys", "v2") == "toys: v2 scores beside v1\n"
    assert told("shadow", "toys", "latest") == "toys: v3 scores beside v1, before v2\n"
    assert [one["shadow"] for one in answer("list", "toys")] == [False, False, True]
    assert told("list").splitlines()[3].split()[:3] == ["toys", "v3", "shadow"]
    assert answer("shadow", "toys") == {"product": "toys", "shadow": "v3", "before": "v3"}
    assert store.current() == "v1"
    assert told("shadow", "toys", "--off") == "toys: nothing scores beside, before v3\n"
    assert told("shadow", "toys", "--off") == "toys: nothing scores beside\n"
    told("shadow", "toys", "v2")
    told("promote", "toys", "v2")
    assert store.shadow() is None, "it is in use"


@pytest.mark.slow
def test_the_list_says_why_a_consumer_does_not_take_up_the_current_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = Health(lambda: 0.0)
    health.missing, health.waiting = {}, {"notice": "model refused: v2; v1 scores instead"}
    server = serve("127.0.0.1", 0, health, lambda: b"")
    offset = server.server_port - consumers()["fraud"].port
    settings = Settings(state_dir=tmp_path, port_offset=offset)
    monkeypatch.setattr(model, "settings", lambda: settings)
    store = Store(tmp_path / "models" / "fraud")
    publish(store, "v1", "v2")
    store.promote("v2")
    try:
        found = answer("list", "fraud")
        shown = told("list")
    finally:
        server.shutdown()
        server.server_close()
    assert [one["waiting"] for one in found] == ["", "model refused: v2; v1 scores instead"]
    assert shown.endswith("fraud waits: model refused: v2; v1 scores instead\n")
    assert answer("list", "fraud")[1]["waiting"] == "", "nothing runs any more"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("list shop", "no models of 'shop'; there are models of: toys"),
        ("promote shop v1", "no models of 'shop'; there are models of: toys"),
        ("promote ../models/toys v1", "no models of '../models/toys'; there are models of: toys"),
        ("rollback shop", "no models of 'shop'; there are models of: toys"),
        ("promote toys v9", "no model 'v9' of toys; there are: v1"),
        ("rollback toys", "no model of toys was current"),
        ("shadow toys v1", "nothing of 'toys' scores beside a model; it is: fraud"),
        ("shadow fraud v1", "no models of 'fraud' yet"),
        ("shadow fraud v1 --off", "one at a time: VERSION, --off, --report"),
        ("shadow fraud --since 2026-01-01", "--since, --until and --lake belong to --report"),
    ],
)
def test_what_is_unknown_is_told_in_one_line_with_code_2(
    store: Store,
    line: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    publish(store, "v1")
    monkeypatch.setattr(sys, "argv", ["millrace", "model", *line.split()])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"millrace: {words}\n")


def test_before_the_first_training(store: Store) -> None:
    result = runner.invoke(model.app, ["promote", "toys", "latest"])
    assert isinstance(result.exception, UserError)
    assert str(result.exception) == "no models of 'toys' yet"

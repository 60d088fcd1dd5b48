"""`millrace retrain`: a small model from a file to the scorer, and what a person is told."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from config.errors import UserError
from config.health import serve
from config.products import consumers
from config.settings import ROOT, Settings
from millrace import retraining
from millrace.cli import main, retrain
from millrace.stack import batch
from orchestration.fraud.sources import simulated
from orchestration.retraining.handover import Run
from orchestration.shelf.shelf import Shelf
from orchestration.shelf.store import Store
from serving.consumers.health import Health
from serving.consumers.models import ModelInfo
from tests.unit.orchestration.shelves import kind, publish

runner = CliRunner()
AT = "2018-05-01T00:00Z"


def write_payments(path: Path) -> None:
    """Write simulated payments of a month as the handbook's columns."""
    table = simulated(days=30, customers=60, seed=5, strikes=80).payments.table
    columns = {
        "TRANSACTION_ID": table["transaction_id"],
        "TX_DATETIME": table["event_time"].cast(pa.timestamp("ms")),
        "CUSTOMER_ID": table["customer_id"],
        "TERMINAL_ID": table["terminal_id"],
        "TX_AMOUNT": table["amount"],
        "TX_FRAUD": table["is_fraud"].cast(pa.int64()),
    }
    pq.write_table(pa.table(columns), path)


def _missing(_layout: object) -> tuple[str, ...]:
    raise UserError("no Java found")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = Settings(state_dir=tmp_path, retrain_rows=100, retrain_frauds=5)
    monkeypatch.setattr(retrain, "settings", lambda: settings)
    monkeypatch.setattr(batch, "command", _missing)  # the reference engine, without Java
    return settings


def told(*line: str) -> Any:
    result = runner.invoke(retrain.app, line)
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.slow  # trains, and makes MLflow's tables
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_from_a_file_to_a_model_that_mlflow_itself_reads(small: Settings, tmp_path: Path) -> None:
    write_payments(tmp_path / "payments.parquet")
    data = ("--data", str(tmp_path / "payments.parquet"))
    gate = told("run", "fraud", "--at", AT, *data)
    assert gate["promoted"] is True
    store = Store(tmp_path / "models" / "fraud")
    assert store.current() == gate["challenger"]
    until = Run.of(tmp_path / "retraining", "fraud", retrain._moment(AT))
    rows = until.frame()
    assert rows.event_time.max() < until.at_ms - 7 * 86_400_000, "later verdicts are not known yet"

    import mlflow.lightgbm
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    champion = client.get_model_version_by_alias("fraud", "champion")
    assert champion.run_id is not None
    theirs = mlflow.lightgbm.load_model(client.download_artifacts(champion.run_id, "model"))
    _, ours = store.load(gate["challenger"])
    assert np.array_equal(theirs.predict(rows.x, num_threads=1), ours.predict(rows.x))
    run = client.get_run(champion.run_id)
    kept = json.loads((until.folder / "evaluate.json").read_text())
    assert run.data.metrics["test_average_precision"] == kept["metrics"]["average_precision"]
    assert run.data.params["window_until_ms"] == str(until.at_ms)

    refused = told("run", "fraud", "--at", "2018-04-30T00:00Z", *data)
    assert (refused["promoted"], store.current()) == (False, gate["challenger"])
    assert f"data older than that of {gate['challenger']}" in refused["reasons"]


@pytest.fixture
def scorer(tmp_path: Path) -> Iterator[Settings]:
    """What a consumer shows of its models, with a shelf that it watches; yield its settings."""
    store, registry, stop = (
        Store(tmp_path / "models" / "fraud"),
        CollectorRegistry(),
        threading.Event(),
    )
    publish(store, "v1")
    publish(store, "v2")
    store.promote("v1")
    shelf: Shelf[Any] = Shelf(store.folder, lambda card, predictor: predictor, "train")
    shelf.watch(0.05, stop)
    registry.register(ModelInfo("fraud", shelf))
    server = serve("127.0.0.1", 0, Health(lambda: 0.0), lambda: generate_latest(registry))
    offset = server.server_port - consumers()["fraud"].port
    yield Settings(state_dir=tmp_path, port_offset=offset)
    stop.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with kind(monkeypatch):
        yield


def test_confirm_waits_until_the_scorer_has_the_model(words: None, scorer: Settings) -> None:
    assert retraining.taken(scorer, "fraud", 20)["version"] == "v1"
    Store(scorer.state_dir / "models" / "fraud").promote("v2")
    assert retraining.taken(scorer, "fraud", 20)["version"] == "v2"


def test_confirm_says_what_the_scorer_has_instead(words: None, scorer: Settings) -> None:
    store = Store(scorer.state_dir / "models" / "fraud")
    publish(store, "v3", "broken")
    (store.folder / "current").write_text("v3\n")  # by hand: no promotion would take it
    with pytest.raises(UserError, match="the scorer did not take up v3: v1 at http://"):
        retraining.taken(scorer, "fraud", 0)


@pytest.mark.parametrize("answer", [b"no HTTP at all\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n\xff{"])
def test_confirm_where_something_else_answers(words: None, tmp_path: Path, answer: bytes) -> None:
    store = Store(tmp_path / "models" / "fraud")
    publish(store, "v1")
    store.promote("v1")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answers() -> None:
            with server.accept()[0] as caller:
                caller.recv(4096)
                caller.sendall(answer)

        threading.Thread(target=answers, daemon=True).start()
        offset = server.getsockname()[1] - consumers()["fraud"].port
        settings = Settings(state_dir=tmp_path, port_offset=offset)
        with pytest.raises(UserError, match="no consumer with a model answers"):
            retraining.taken(settings, "fraud", 0)


@pytest.mark.slow
def test_mlflow_is_told_not_to_report_before_it_is_loaded(tmp_path: Path) -> None:
    told = tmp_path / "told"
    fake = tmp_path / "mlflow" / "__init__.py"
    fake.parent.mkdir()
    fake.write_text(
        "import os, pathlib\n"
        f"pathlib.Path({str(told)!r}).write_text(os.environ['MLFLOW_DISABLE_TELEMETRY'])\n"
    )
    script = (
        "from config.settings import Settings\n"
        "from millrace.retraining import follow\n"
        f"follow(Settings(state_dir={str(tmp_path)!r}, mlflow_tracking_uri='sqlite://'), 'fraud')\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    environment.pop("MLFLOW_DISABLE_TELEMETRY", None)
    done = subprocess.run(
        (sys.executable, "-c", script), env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert told.read_text() == "true"


def test_confirm_without_a_scorer(words: None, tmp_path: Path) -> None:
    store = Store(tmp_path / "models" / "fraud")
    publish(store, "v1")
    settings = Settings(state_dir=tmp_path, port_offset=1)
    with pytest.raises(UserError, match="no model of fraud is current"):
        retraining.taken(settings, "fraud", 0)
    store.promote("v1")
    with pytest.raises(UserError, match="no consumer with a model answers"):
        retraining.taken(settings, "fraud", 0)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("validate shop", "'shop' is not retrained; these are: fraud"),
        ("validate fraud --at yesterday", "--at: Invalid isoformat string: 'yesterday'"),
        ("validate fraud --at 2018-05-01T00:00", "2018-05-01T00:00:00 names no time zone"),
        ("extract fraud", "no table 'bronze.fraud_features'; there are: none yet"),
        ("train fraud --at 2018-05-01T00:00Z", "nothing to go on with: type `millrace retrain val"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(small: Settings, line: str, words: str) -> None:
    result = runner.invoke(retrain.app, line.split())
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith(words)


def test_a_model_that_is_unfit_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(state_dir=tmp_path)
    monkeypatch.setattr(retrain, "settings", lambda: settings)
    run = Run.of(tmp_path / "retraining", "fraud", retrain._moment(AT))
    run.put("extract", {"digest": "d"})
    run.put("evaluate", {"challenger": "v1"})
    monkeypatch.setattr(sys, "argv", ["millrace", "retrain", "register", "fraud", "--at", AT])
    monkeypatch.setattr(retrain, "record", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("millrace: a model is unfit: v1: model.json: FileNotFoundError")

"""The record of a training of detectors, in MLflow's real one on SQLite."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from config.settings import Settings
from orchestration.anomalies.learned.recorded import write
from orchestration.anomalies.learned.rows import Windows
from orchestration.anomalies.learned.train import train
from orchestration.retraining.record import CHAMPION
from orchestration.shelf.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]


def settings(folder: Path, groups: str) -> Settings:
    return Settings(_env_file=None, state_dir=folder, groups=groups)  # type: ignore[call-arg]


def test_a_training_is_a_run_with_the_hashes_of_data_and_model(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    loaded = settings(tmp_path, "core,lake")
    rows = np.random.default_rng(1).normal(0, 1, (80, 2))
    store = Store(tmp_path / "models" / "anomalies")
    card = train(Windows(("a", "b"), rows, "w.csv", "77c1"), "ocsvm").publish(store.folder)
    first = write(loaded, store, card)
    assert first is not None
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    run = client.get_run(first.run)
    assert run.data.params["detector"] == "ocsvm"
    assert run.data.params["ocsvm.nu"] == "0.05"
    assert run.data.metrics["training_windows"] == 80
    assert run.data.metrics["threshold_normal"] == pytest.approx(0.5, abs=1e-3)
    assert run.data.tags["millrace.data_sha256"] == "77c1"
    (kept,) = (tmp_path / "mlflow" / "artefacts").rglob("model.onnx")
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    assert run.data.tags["millrace.sha256.model.onnx"] == digest == card.files["model.onnx"]
    assert CHAMPION not in client.get_registered_model("anomalies").aliases
    store.promote(card.version)
    assert write(loaded, store, card) == first
    aliases = client.get_registered_model("anomalies").aliases
    assert {name: str(one) for name, one in aliases.items()} == {CHAMPION: first.registered}


def test_without_a_lake_there_is_no_record(tmp_path: Path) -> None:
    store = Store(tmp_path / "models" / "anomalies")
    rows = np.random.default_rng(1).normal(0, 1, (80, 2))
    card = train(Windows(("a", "b"), rows), "ocsvm").publish(store.folder)
    assert write(settings(tmp_path, "core,anomalies"), store, card) is None
    assert not (tmp_path / "mlflow").exists()

"""Record retrainings in MLflow: a run for each, its model in the registry, aliases.

MLflow is the record and the shelf the deployment: nothing that scores reads MLflow. The artefact is
the shelf's own files, with a description by which MLflow's tools read them, too; nothing is
pickled.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from config.errors import UserError
from config.settings import Settings
from orchestration.shelf.card import FILE, Card
from orchestration.shelf.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun
    from mlflow.tracking import MlflowClient

# MLflow reports its use to its makers otherwise, from its first import on.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

CHAMPION, CHALLENGER = "champion", "challenger"
MODEL = "model"
_DATE, _VERSION = "millrace.logical_date", "millrace.model_version"
_LONGEST_PARAMETER = 6000


@dataclass(frozen=True, slots=True)
class Retraining:
    """What a run records. `at_ms` is its logical date; metrics are of the held-out window."""

    version: str
    at_ms: int
    logical_date: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where it was recorded: MLflow's run, and the version in its registry."""

    run: str
    registered: str


class Record:
    """A product's experiment and registered model, both of the product's name."""

    def __init__(self, uri: str, product: str, artefacts: Path | None = None) -> None:
        """Open the tracking store at `uri`. Raise UserError where MLflow is not installed.

        `artefacts` is the folder for artefacts of a store without a server.
        """
        self._client, self._product, self._artefacts = _client(uri), product, artefacts

    def run(self, retraining: Retraining) -> str:
        """Return the id of the run of this date and model; make it if there is none."""
        experiment = self._experiment()
        asked = (
            f"tags.`{_DATE}` = '{retraining.logical_date}' "
            f"AND tags.`{_VERSION}` = '{retraining.version}'"
        )
        found = self._client.search_runs([experiment], asked, max_results=1)
        run: MlflowRun = found[0] if found else self._begin(experiment, retraining)
        return str(run.info.run_id)

    def _begin(self, experiment: str, retraining: Retraining) -> MlflowRun:
        tags = {
            **retraining.tags,
            _DATE: retraining.logical_date,
            _VERSION: retraining.version,
        }
        name = f"{self._product} {retraining.logical_date}"
        return self._client.create_run(experiment, run_name=name, tags=tags)

    def write(self, run: str, retraining: Retraining, shelf: Store, card: Card) -> Recorded:
        """Complete the run: parameters, metrics, the model's files, its version in the registry.

        Done again it changes nothing.
        """
        from mlflow.entities import Metric, Param

        metrics = [
            # At the logical date, so that the same value written again is the same row.
            Metric(name, float(value), retraining.at_ms, 0)
            for name, value in retraining.metrics.items()
        ]
        parameters = [
            Param(name, str(value)[:_LONGEST_PARAMETER])
            for name, value in retraining.parameters.items()
        ]
        self._client.log_batch(run, metrics=metrics, params=parameters)
        with tempfile.TemporaryDirectory() as folder:
            for name, content in {**shelf.files(card), **described(card)}.items():
                (Path(folder) / name).write_bytes(content)
            self._client.log_artifacts(run, folder, MODEL)
        registered = self._registered(run)
        self._client.set_terminated(run, "FINISHED")
        return Recorded(run, registered)

    def _registered(self, run: str) -> str:
        """Return the version of the run's model in the registry; make it if there is none."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(self._product)
        except MlflowException:
            self._client.create_registered_model(self._product)
        found = self._client.search_model_versions(f"name = '{self._product}'")
        for one in found:
            if one.run_id == run:
                return str(one.version)
        source = f"{self._client.get_run(run).info.artifact_uri}/{MODEL}"
        made = self._client.create_model_version(self._product, source=source, run_id=run)
        return str(made.version)

    def judged(self, run: str, passed: bool, reasons: str) -> None:
        """Write the gate's verdict onto the run."""
        self._client.set_tag(run, "millrace.gate", "passed" if passed else "refused")
        self._client.set_tag(run, "millrace.gate_reasons", reasons)

    def point(self, alias: str, registered: str | None) -> None:
        """Let an alias name this version; None takes the alias away."""
        if registered is not None:
            self._client.set_registered_model_alias(self._product, alias, registered)
        else:
            self._client.delete_registered_model_alias(self._product, alias)

    def follow(self, version: str | None) -> str | None:
        """Let `champion` name the shelf's current model; return its version in the registry.

        A model that was never recorded here has none, and then nothing is champion.
        """
        registered = self._of(version) if version else None
        if registered or self._aliases().get(CHAMPION):
            self.point(CHAMPION, registered)
        return registered

    def _aliases(self) -> dict[str, str]:
        from mlflow.exceptions import MlflowException

        try:
            return dict(self._client.get_registered_model(self._product).aliases)
        except MlflowException:
            return {}

    def _of(self, version: str) -> str | None:
        """Return the newest registered version of a model of the shelf."""
        found = self._client.get_experiment_by_name(self._product)
        if found is None:
            return None
        runs = self._client.search_runs([found.experiment_id], f"tags.`{_VERSION}` = '{version}'")
        ids = {run.info.run_id for run in runs}
        versions = self._client.search_model_versions(f"name = '{self._product}'")
        numbers = [int(one.version) for one in versions if one.run_id in ids]
        return str(max(numbers)) if numbers else None

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._product)
        if found is not None:
            return str(found.experiment_id)
        where = (self._artefacts / self._product).as_uri() if self._artefacts else None
        return str(self._client.create_experiment(self._product, artifact_location=where))


def opened(loaded: Settings, product: str) -> Record:
    """Open the record of a product where the settings have it: by default SQLite beside models.

    Raise UserError where MLflow is not installed.
    """
    if loaded.mlflow_tracking_uri:
        return Record(loaded.mlflow_tracking_uri, product)
    folder = loaded.state_dir / "mlflow"
    return Record(f"sqlite:///{folder / 'mlflow.db'}", product, folder / "artefacts")


def described(card: Card) -> dict[str, bytes]:
    """Return the files beside a model's own by which MLflow knows it: its flavour, what it needs.

    Written here, as MLflow finds requirements out by loading the model in a process of its own.
    """
    libraries = card.details.get("libraries", {})
    needs = "".join(f"{name}=={version}\n" for name, version in libraries.items())
    described = {"flavors": {card.kind: _flavour(card, libraries)}}
    return {
        FILE: (json.dumps(card.document(), indent=2) + "\n").encode(),
        "MLmodel": yaml.safe_dump(described).encode(),
        "requirements.txt": needs.encode(),
    }


def _flavour(card: Card, libraries: Mapping[str, str]) -> dict[str, Any]:
    if card.kind == "lightgbm":
        return {
            "data": "model.txt",
            "lgb_version": libraries.get("lightgbm", ""),
            "model_class": "lightgbm.basic.Booster",
        }
    return {"data": sorted(card.files)}


def failures() -> tuple[type[Exception], ...]:
    """Return what is raised for a record that is not there or cannot be reached."""
    try:
        from mlflow.exceptions import MlflowException
    except ImportError:
        return (UserError, ImportError, OSError)
    return (UserError, ImportError, OSError, MlflowException)


def _client(uri: str) -> MlflowClient:
    try:
        from mlflow.tracking import MlflowClient
    except ModuleNotFoundError as error:
        raise UserError(f"{error}: type `scripts/setup.sh --with lake`") from error
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)

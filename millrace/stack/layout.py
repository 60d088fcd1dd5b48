"""Derive the folders of the state, the built parts and the tools from the settings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from config.settings import ROOT, Settings

# A space at the end would be lost in Supervisor's configuration.
FIT = re.compile(r"[\w/.~+@=-]| (?!$)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Layout:
    """Every folder and file of a stack, so that no other module joins paths of its own."""

    state: Path
    build: Path
    root: Path = ROOT

    @classmethod
    def of(cls, settings: Settings) -> Layout:
        """Return the layout of these settings."""
        return cls(state=settings.state_dir, build=settings.build_dir)

    def unfit(self) -> str | None:
        """Return why the stack cannot run in these folders, or None if it can.

        Class paths and Flink's lists of folders each cut a path at different characters (colons,
        commas and the like); Java reads other alphabets by the locale. A stack would start and
        then, for instance, not find its checkpoints.
        """
        folders = {
            "MILLRACE_STATE_DIR": self.state,
            "MILLRACE_BUILD_DIR": self.build,
            "the project": self.root,
        }
        for name, folder in folders.items():
            if wrong := FIT.sub("", str(folder)):
                return (
                    f"{name} lies in {str(folder)!r}: Flink and Java cannot carry {wrong[0]!r} "
                    "in a path; it must be of plain letters, digits, inner spaces and . _ ~ + @ = -"
                )
        return None

    @property
    def logs(self) -> Path:
        """Return the folder of logs, one file per process, rotated by Supervisor."""
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """Return the folder of pid files, Supervisor's socket and its configuration."""
        return self.state / "run"

    def scratch(self, name: str) -> Path:
        """Return the folder of a process's temporary files.

        Files left by a killed JVM are removed when it restarts.
        """
        return self.state / "tmp" / name

    @property
    def flink_conf(self) -> Path:
        """Return `FLINK_CONF_DIR`."""
        return self.state / "flink" / "conf"

    @property
    def flink_lib(self) -> Path:
        """Return `FLINK_LIB_DIR`: a link to the jars that the running cluster was started with."""
        return self.state / "flink" / "lib"

    @property
    def checkpoints(self) -> Path:
        """Return the folder of checkpoints: `checkpoints/<job>/<flink job id>/chk-<n>`."""
        return self.state / "flink" / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Return the folder of savepoints: `savepoints/<job>/savepoint-…`."""
        return self.state / "flink" / "savepoints"

    @property
    def jobs(self) -> Path:
        """Return the keeper's folder: locks, lines of state, and jobs stopped on purpose."""
        return self.state / "flink" / "jobs"

    @property
    def api_key(self) -> Path:
        """Return the file of the key that the stack makes when the settings hold none."""
        return self.secret("api-key")

    def secret(self, name: str) -> Path:
        """Return the file of a secret that the stack makes."""
        return self.state / "secrets" / name

    @property
    def airflow(self) -> Path:
        """Return `AIRFLOW_HOME`: metadata, logs of tasks."""
        return self.state / "airflow"

    @property
    def airflow_passwords(self) -> Path:
        """Return the file by which Airflow knows its users' passwords."""
        return self.secret("airflow-passwords.json")

    @property
    def monitoring(self) -> Path:
        """Return the folder of Prometheus and Alertmanager: configuration, rules, data."""
        return self.state / "monitoring"

    @property
    def models(self) -> Path:
        """Return the folder of models, one shelf per product (orchestration/shelf)."""
        return self.state / "models"

    def current_model(self, product: str) -> Path:
        """Return the file that names the product's model in use; absent until one was promoted."""
        return self.models / product / "current"

    @property
    def retraining(self) -> Path:
        """Return the folder of what retrainings hand from step to step, one for each run."""
        return self.state / "retraining"

    @property
    def uplifts(self) -> Path:
        """Return the file of factors on forecasts that people set."""
        return self.state / "forecasts" / "uplifts.yaml"

    @property
    def mlflow(self) -> Path:
        """Return the folder of MLflow's database and artefacts, where it has no server."""
        return self.state / "mlflow"

    @property
    def kafka_jars(self) -> Path:
        """Return the folder of Kafka's jars, fetched by Maven."""
        return self.build / "kafka"

    @property
    def registry_jar(self) -> Path:
        """Return Apicurio's runner; its manifest names the jars in `lib/` beside it."""
        found = sorted((self.build / "registry").glob("apicurio-registry-app-*-runner.jar"))
        return found[-1] if found else self.build / "registry" / "apicurio-registry-app-runner.jar"

    @property
    def flink_jars(self) -> Path:
        """Return the folder of connectors, fetched by Maven."""
        return self.build / "flink" / "jars"

    def jars(self, setup: str) -> Path:
        """Return the folder of the jars that `scripts/setup.sh --with <setup>` brings for Flink."""
        return self.build / setup / "jars"

    @property
    def kernel_jar(self) -> Path:
        """Return the Java kernel, built from processing/kernel."""
        return self.root / "processing" / "kernel" / "target" / "millrace-kernel.jar"

    @property
    def app_python(self) -> Path:
        """Return the interpreter of the app environment."""
        return self.root / ".venv" / "bin" / "python"

    @property
    def flink_python(self) -> Path:
        """Return the interpreter of the PyFlink environment."""
        return self.root / ".venv-flink" / "bin" / "python"

    @property
    def airflow_python(self) -> Path:
        """Return the interpreter of Airflow's environment."""
        return self.root / ".venv-airflow" / "bin" / "python"

    @property
    def flink_home(self) -> Path:
        """Return the folder of the pip package, which holds bin/, lib/, opt/ and plugins/."""
        return self.root / ".venv-flink" / "lib" / "python3.11" / "site-packages" / "pyflink"

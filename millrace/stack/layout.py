"""Where things lie.

Folders of the state, the built parts and the tools, derived from the settings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from config.settings import ROOT, Settings

FIT = re.compile(r"[\w/.~+@=-]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Layout:
    """Every folder and file of a stack, so that no other module joins paths of its own."""

    state: Path
    build: Path
    root: Path = ROOT

    @classmethod
    def of(cls, settings: Settings) -> Layout:
        """The layout that these settings mean."""
        return cls(state=settings.state_dir, build=settings.build_dir)

    def unfit(self) -> str | None:
        """Why the stack cannot run in these folders; None when it can.

        Class paths, Flink's lists of folders and its scripts cut a path at spaces, colons, commas
        and the like, each at others; Java reads other alphabets by the locale. So a stack would
        come up and, say, not find its checkpoints.
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
                    "in a path; it must be of plain letters, digits and . _ ~ + @ = -"
                )
        return None

    @property
    def logs(self) -> Path:
        """One file a process, rotated by Supervisor."""
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """Pid files, Supervisor's socket and configuration."""
        return self.state / "run"

    def scratch(self, name: str) -> Path:
        """A process's temporary files.

        What a killed JVM leaves of them goes when it starts again.
        """
        return self.state / "tmp" / name

    @property
    def flink_conf(self) -> Path:
        """`FLINK_CONF_DIR`."""
        return self.state / "flink" / "conf"

    @property
    def flink_lib(self) -> Path:
        """`FLINK_LIB_DIR`: a link to the jars that the running cluster was started with."""
        return self.state / "flink" / "lib"

    @property
    def checkpoints(self) -> Path:
        """One folder a job: `checkpoints/<job>/<flink job id>/chk-<n>`."""
        return self.state / "flink" / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """One folder a job: `savepoints/<job>/savepoint-…`."""
        return self.state / "flink" / "savepoints"

    @property
    def jobs(self) -> Path:
        """What the keeper of the jobs must remember: locks and who was stopped on purpose."""
        return self.state / "flink" / "jobs"

    @property
    def api_key(self) -> Path:
        """The key the stack makes when the settings hold none."""
        return self.state / "secrets" / "api-key"

    @property
    def models(self) -> Path:
        """One shelf of models a product (orchestration/shelf)."""
        return self.state / "models"

    def current_model(self, product: str) -> Path:
        """Names the product's model in use; absent until one was promoted."""
        return self.models / product / "current"

    @property
    def kafka_jars(self) -> Path:
        """Kafka and what it needs, fetched by Maven."""
        return self.build / "kafka"

    @property
    def registry_jar(self) -> Path:
        """Apicurio's runner; its manifest names the jars in `lib/` beside it."""
        found = sorted((self.build / "registry").glob("apicurio-registry-app-*-runner.jar"))
        return found[-1] if found else self.build / "registry" / "apicurio-registry-app-runner.jar"

    @property
    def flink_jars(self) -> Path:
        """Connectors, fetched by Maven."""
        return self.build / "flink" / "jars"

    @property
    def kernel_jar(self) -> Path:
        """The Java kernel, built from processing/kernel."""
        return self.root / "processing" / "kernel" / "target" / "millrace-kernel.jar"

    @property
    def app_python(self) -> Path:
        """Interpreter of the app environment."""
        return self.root / ".venv" / "bin" / "python"

    @property
    def flink_python(self) -> Path:
        """Interpreter of the PyFlink environment."""
        return self.root / ".venv-flink" / "bin" / "python"

    @property
    def flink_home(self) -> Path:
        """The pip package, which holds bin/, lib/, opt/ and plugins/."""
        return self.root / ".venv-flink" / "lib" / "python3.11" / "site-packages" / "pyflink"

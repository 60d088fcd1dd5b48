"""The stack under test, seen from a benchmark: its TaskManager, its jobs, its state on disk."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil

from config.settings import ROOT, Settings
from millrace.stack.layout import Layout
from millrace.stack.parts import flink


class Cluster:
    """A running Flink session cluster that these settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._layout = Layout.of(settings)

    def rest(self, path: str, method: str = "GET") -> Any:
        """One call of Flink's REST API; None where it answers nothing."""
        request = urllib.request.Request(f"{self._settings.flink_rest}{path}", method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http by configuration
            body = answer.read()
        return json.loads(body) if body.strip() else None

    def taskmanager(self) -> psutil.Process:
        """The TaskManager's process, found by its configuration folder.

        Raises RuntimeError if none runs.
        """
        return self._process("TaskManagerRunner")

    def jobmanager(self) -> psutil.Process:
        """The JobManager's process."""
        return self._process("StandaloneSessionClusterEntrypoint")

    def _process(self, main: str) -> psutil.Process:
        folder = str(self._layout.flink_conf)
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            if folder in line and any(main in word for word in line):
                return process
        raise RuntimeError(f"no {main} of {folder}: type `millrace up`")

    def submit(self, job: Path, *arguments: str, options: dict[str, str] | None = None) -> str:
        """Submit a Python job, detached; returns its id.

        `options` are Flink settings of this job alone.
        """
        home = self._layout.flink_home
        defines = [f"-D{key}={value}" for key, value in (options or {}).items()]
        address = self._settings.flink_rest.removeprefix("http://")
        python = str(self._layout.flink_python)
        client = ["run", "-d", "-m", address, *defines, "-pyclientexec", python, "-pyexec", python]
        environment = {
            **os.environ,
            **flink.environment(self._settings),
            "PYTHONPATH": str(ROOT),
            "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        }
        self._layout.logs.mkdir(parents=True, exist_ok=True)
        line = [str(home / "bin" / "flink"), *client, "-py", str(job), *arguments]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
        found = re.search(r"JobID ([0-9a-f]{32})", done.stdout)
        if found is None:
            raise RuntimeError(
                f"{job.name} was not submitted:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            )
        return found.group(1)

    def state(self, job: str) -> str:
        """One of Flink's job states, RUNNING for instance."""
        return str(self.rest(f"/jobs/{job}")["state"])

    def restarts(self, job: str) -> int:
        """How often the job was restarted."""
        metric = self.rest(f"/jobs/{job}/metrics?get=numRestarts")
        return int(metric[0]["value"]) if metric else 0

    def cancel(self, job: str) -> None:
        """Cancel and wait until it is gone."""
        try:
            self.rest(f"/jobs/{job}?mode=cancel", "PATCH")
        except urllib.error.HTTPError as error:
            if error.code != 409:  # ended already
                raise
        for _ in range(300):
            if self.state(job) in ("CANCELED", "FAILED", "FINISHED"):
                return
            time.sleep(0.1)
        raise TimeoutError(f"job {job} does not end")

    def checkpoints(self, job: str) -> dict[str, Any]:
        """Number of completed checkpoints, full size and duration of the last one."""
        found = self.rest(f"/jobs/{job}/checkpoints")
        last = (found.get("latest") or {}).get("completed") or {}
        return {
            "completed": found["counts"]["completed"],
            "failed": found["counts"]["failed"],
            "state_bytes": last.get("state_size", 0),
            "last_ms": last.get("end_to_end_duration", 0),
        }

    def state_on_disk(self) -> int:
        """Bytes of RocksDB's working folders.

        Raises RuntimeError if there are none: a job that runs has one.
        """
        scratch = self._layout.scratch("taskmanager")
        # walk, not rglob: that raises when a folder of a checkpoint goes away under it.
        folders = [
            (Path(folder), names)
            for folder, _, names in os.walk(scratch)
            if Path(folder).name == "db"
        ]
        total = sum(_size(folder / name) for folder, names in folders for name in names)
        if not total:
            raise RuntimeError(f"no state of RocksDB below {scratch}")
        return total

    def garbage(self) -> dict[str, int]:
        """Milliseconds and runs of the TaskManager's collectors since its start."""
        manager = self.rest("/taskmanagers")["taskmanagers"][0]["id"]
        found = self.rest(f"/taskmanagers/{manager}")["metrics"]["garbageCollectors"]
        return {
            "gc_ms": sum(collector["time"] for collector in found),
            "gc_runs": sum(collector["count"] for collector in found),
        }


def _size(file: Path) -> int:
    """Bytes of a file; 0 of one that a compaction has removed meanwhile."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0

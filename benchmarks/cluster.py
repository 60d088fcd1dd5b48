"""Watch the stack under test: its TaskManager, its jobs, its state on disk."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from config.settings import ROOT, Settings
from millrace.stack.layout import Layout
from millrace.stack.parts import flink
from millrace.stack.ports import listener


def listening(ports: Mapping[str, int]) -> dict[str, int]:
    """Return the process that listens on each port. Raise RuntimeError if there is none."""
    found = {name: listener(port) for name, port in ports.items()}
    if missing := [name for name, pid in found.items() if pid is None]:
        raise RuntimeError(f"nobody listens: {', '.join(missing)}")
    return {name: pid for name, pid in found.items() if pid is not None}


class Cluster:
    """The running Flink session cluster that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._layout = Layout.of(settings)

    def rest(self, path: str, method: str = "GET") -> Any:
        """Call Flink's REST API and return its answer, or None if it is empty."""
        request = urllib.request.Request(f"{self._settings.flink_rest}{path}", method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - http by configuration
            body = answer.read()
        return json.loads(body) if body.strip() else None

    def taskmanager(self) -> psutil.Process:
        """Find the TaskManager's process by its configuration folder.

        Raise RuntimeError if none runs.
        """
        return self._process("TaskManagerRunner")

    def jobmanager(self) -> psutil.Process:
        """Find the JobManager's process."""
        return self._process("StandaloneSessionClusterEntrypoint")

    def _process(self, main: str) -> psutil.Process:
        folder = str(self._layout.flink_conf)
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            if folder in line and any(main in word for word in line):
                return process
        raise RuntimeError(f"no {main} of {folder}: type `millrace up`")

    def submit(self, job: Path, *arguments: str, options: dict[str, str] | None = None) -> str:
        """Submit a Python job, detached, and return its id.

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
        """Return the job's state in Flink's words, such as RUNNING."""
        return str(self.rest(f"/jobs/{job}")["state"])

    def restarts(self, job: str) -> int:
        """Return how often the job was restarted."""
        metric = self.rest(f"/jobs/{job}/metrics?get=numRestarts")
        return int(metric[0]["value"]) if metric else 0

    def cancel(self, job: str) -> None:
        """Cancel the job and wait until it is gone."""
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
        """Return the number of completed checkpoints, and the last one's full size and duration."""
        found = self.rest(f"/jobs/{job}/checkpoints")
        last = (found.get("latest") or {}).get("completed") or {}
        return {
            "completed": found["counts"]["completed"],
            "failed": found["counts"]["failed"],
            "state_bytes": last.get("state_size", 0),
            "last_ms": last.get("end_to_end_duration", 0),
        }

    def state_on_disk(self) -> int:
        """Return the bytes in RocksDB's working folders.

        Raise RuntimeError if there are none: a running job has one.
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
        """Return the milliseconds and runs of the TaskManager's collectors since its start."""
        manager = self.rest("/taskmanagers")["taskmanagers"][0]["id"]
        found = self.rest(f"/taskmanagers/{manager}")["metrics"]["garbageCollectors"]
        return {
            "gc_ms": sum(collector["time"] for collector in found),
            "gc_runs": sum(collector["count"] for collector in found),
        }


def _size(file: Path) -> int:
    """Return a file's size in bytes, or 0 if a compaction has removed it meanwhile."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0

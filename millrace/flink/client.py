"""Run the process of the Flink environment that compiles and submits jobs."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self, cast

from config.settings import ROOT, Settings
from millrace.flink import jobs, outside
from millrace.stack.layout import Layout
from millrace.stack.parts import flink
from millrace.stack.parts.jvm import FIRST_COMPILER

# Allow for a JVM on a busy machine, then for one job at a time.
CLIENT_TIMEOUT_S, JOB_TIMEOUT_S = 150, 30
# The client is short-lived: it starts sooner without the second compiler.
CLIENT_JVM = " ".join(("-Xmx384m", "-XX:+UseSerialGC", *FIRST_COMPILER, "-Xshare:auto"))


class Client:
    """A process of `processing.submission`, from its start to its end; a context manager.

    Not safe for use by several threads at once.
    """

    def __init__(self, settings: Settings) -> None:
        flink.prepare(settings, "client")
        self._settings, layout = settings, Layout.of(settings)
        self._sent = 0
        self._folder = tempfile.TemporaryDirectory(dir=layout.jobs, prefix=".client.")
        self._answers = Path(self._folder.name) / "answers.jsonl"
        self._printed = Path(self._folder.name) / "printed"
        with self._printed.open("w", encoding="utf-8") as printed:
            self._process = subprocess.Popen(
                [str(layout.flink_python), "-m", "processing.submission", str(self._answers)],
                env=environment(settings),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self._requests = cast("IO[str]", self._process.stdin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Return whether the process has not ended yet."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process, whatever it is doing, and remove its files."""
        self._end_of_requests()
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def compile(self, names: Iterable[str]) -> None:
        """Ask for the jobs' plans, for which no cluster is needed; return without waiting.

        A job with a start of its own is left out: its plan holds where it goes on. Raise UserError
        for an unknown job.
        """
        declared = [jobs.declared(self._settings, name) for name in names]
        self._ask(
            [{"name": job.name, "module": job.module} for job in declared if job.start is None]
        )

    def send(self, request: Sequence[Mapping[str, object]]) -> None:
        """Ask for jobs to be submitted before those of `submit`; return without waiting."""
        self._sent += len(request)
        self._ask(request)

    def submit(
        self, request: Sequence[Mapping[str, object]]
    ) -> tuple[dict[str, Mapping[str, str]], str]:
        """Submit jobs, and end; return all answers by job, and what the process printed."""
        self.send(request)
        self._end_of_requests()
        timeout = CLIENT_TIMEOUT_S + JOB_TIMEOUT_S * self._sent
        try:
            self._process.wait(timeout)
            printed = self._printed.read_text(encoding="utf-8", errors="replace")
        except subprocess.TimeoutExpired:
            printed = f"not within {timeout} s: see `millrace logs jobmanager`"
        told = self._answers.read_text(encoding="utf-8") if self._answers.exists() else ""
        return {one["name"]: one for one in map(json.loads, told.splitlines())}, printed

    def _ask(self, requests: Sequence[Mapping[str, object]]) -> None:
        # If the process has died, the answers are missing; what it printed says why.
        with suppress(BrokenPipeError):
            self._requests.writelines(json.dumps(request) + "\n" for request in requests)
            self._requests.flush()

    def _end_of_requests(self) -> None:
        with suppress(BrokenPipeError):
            self._requests.close()


def environment(settings: Settings) -> dict[str, str]:
    """Return the client's environment: this process's, Flink's folders, the project.

    FLINK_HOME is set because without it PyFlink mistakes its own class path for the cluster's.
    """
    layout = Layout.of(settings)
    return {
        **os.environ,
        **flink.environment(settings),
        **outside.environment(settings),
        "FLINK_HOME": str(layout.flink_home),
        "JVM_ARGS": CLIENT_JVM,
    }

"""Flink jobs.

Submitting with `flink run`, stopping with a savepoint, finding what to resume from.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from config import products
from config.errors import UserError
from config.settings import ROOT, Settings
from millrace.flink import outside
from millrace.flink import rest as cluster
from millrace.stack.layout import Layout
from millrace.stack.parts import flink

SUBMITTED = re.compile(r"Job has been submitted with JobID ([0-9a-f]{32})")
SUBMIT_TIMEOUT_S = 180
# The client is short-lived: it is up sooner without the second compiler.
CLIENT_JVM = "-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"


def declared(settings: Settings, job: str) -> products.Job:
    """The job of that name. Raise `UserError` unless a product declares it and its file exists."""
    every = products.jobs(settings)
    if job not in every:
        raise UserError(f"no job named {job}; products declare: {', '.join(every)}")
    if not every[job].file.exists():
        raise UserError(f"job {job}: {every[job].file} does not exist")
    return every[job]


def command(settings: Settings, job: str, resume: Path | None) -> list[str]:
    """The `flink run` line.

    Each job keeps its checkpoints and savepoints in folders of its own name.

    A retained checkpoint is claimed (Flink deletes it once it has a newer one); a savepoint stays
    its maker's.
    """
    layout = Layout.of(settings)
    line = [
        str(layout.flink_home / "bin" / "flink"),
        "run",
        "--detached",
        f"-Dexecution.checkpointing.dir={flink.uri(layout.checkpoints / job)}",
        f"-Dexecution.checkpointing.savepoint-dir={flink.uri(layout.savepoints / job)}",
    ]
    if resume is not None:
        claim = "CLAIM" if resume.is_relative_to(layout.checkpoints) else "NO_CLAIM"
        line += ["--fromSavepoint", flink.uri(resume), "--claimMode", claim]
    return [*line, "--python", str(declared(settings, job).file)]


def environment(settings: Settings) -> dict[str, str]:
    """What the client runs with.

    This process's environment, Flink's folders, the project on Python's path.
    """
    return {
        **os.environ,
        **flink.environment(settings),
        **outside.environment(settings),
        "JVM_ARGS": CLIENT_JVM,
        "PATH": os.pathsep.join(
            [str(Layout.of(settings).flink_python.parent), os.environ.get("PATH", "")]
        ),
    }


def latest(settings: Settings, job: str) -> Path | None:
    """The newest complete checkpoint or savepoint of a job, None when there is none."""
    layout = Layout.of(settings)
    found = [
        *(layout.checkpoints / job).glob("*/chk-*/_metadata"),
        *(layout.savepoints / job).glob("*/_metadata"),
    ]
    complete: list[tuple[float, Path]] = []
    for path in found:
        try:
            complete.append((path.stat().st_mtime, path.parent))
        except FileNotFoundError:  # a running job removes its old ones
            continue
    return max(complete)[1] if complete else None


@contextmanager
def exclusive(settings: Settings, job: str) -> Iterator[None]:
    """Only one at a time submits or stops a job: the keeper or a person."""
    folder = Layout.of(settings).jobs
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{job}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def stopped_on_purpose(settings: Settings, job: str) -> bool:
    """Whether a person stopped it, so that the keeper leaves it alone."""
    return _mark(settings, job).exists()


def _mark(settings: Settings, job: str) -> Path:
    return Layout.of(settings).jobs / f"{job}.stopped"


def living(settings: Settings, job: str) -> str | None:
    """The id of the job of that name that has not ended, None when there is none.

    Raises `RetryableError`.
    """
    return next(
        (
            one["jid"]
            for one in cluster.overview(settings)
            if one["name"] == job and one["state"] in cluster.LIVING
        ),
        None,
    )


def submit(settings: Settings, job: str, resume: Path | None) -> str:
    """Submit a job that does not run; the caller holds `exclusive`. Returns its id.

    Raises `UserError` with the end of Flink's own words when it is refused or takes too long,
    `RetryableError` when the cluster is away.
    """
    declared(settings, job)
    if (running := living(settings, job)) is not None:
        raise UserError(f"{job} runs already ({running}): type `millrace jobs stop {job}` first")
    if resume is not None and not (resume / "_metadata").exists():
        raise UserError(f"{resume} is no checkpoint or savepoint: it holds no _metadata")
    flink.prepare(settings, "client")
    try:
        done = subprocess.run(
            command(settings, job, resume),
            env=environment(settings),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SUBMIT_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"flink run {job} has not ended after {SUBMIT_TIMEOUT_S} s: "
            "see `millrace logs jobmanager`"
        ) from None
    found = SUBMITTED.search(done.stdout)
    if not found:
        raise UserError(f"flink run refused {job}: {reason(done.stdout + done.stderr)}")
    _mark(settings, job).unlink(missing_ok=True)
    return found[1]


def reason(output: str) -> str:
    """The telling lines of what the client printed: the innermost cause, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(("Caused by:", "py4j.protocol"))]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line)]
    return (causes or errors or lines or ["it printed nothing"])[-1]


def stop(settings: Settings, job: str, timeout: float = 120.0) -> Path:
    """Stop a job with a savepoint, whose path is returned; it stays stopped.

    Raises `UserError`, `RetryableError`.
    """
    folder = Layout.of(settings).savepoints / job
    with exclusive(settings, job):
        running = living(settings, job)
        if running is None:
            raise UserError(f"{job} does not run")
        folder.mkdir(parents=True, exist_ok=True)
        # Marked first: the keeper must not bring it back between the stop and the mark.
        _mark(settings, job).touch()
        try:
            return _stop(settings, running, folder, timeout)
        except Exception:
            _mark(settings, job).unlink(missing_ok=True)
            raise


def _stop(settings: Settings, job_id: str, folder: Path, timeout: float) -> Path:
    body = {"targetDirectory": flink.uri(folder), "drain": False}
    request = cluster.rest(settings, f"/jobs/{job_id}/stop", body=body)["request-id"]
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        answer = cluster.rest(settings, f"/jobs/{job_id}/savepoints/{request}")
        if answer["status"]["id"] == "COMPLETED":
            operation = answer["operation"]
            if "failure-cause" in operation:
                raise UserError(
                    f"no savepoint: {reason(operation['failure-cause']['stack-trace'])}"
                )
            return Path(operation["location"].removeprefix("file:"))
        time.sleep(0.2)
    raise UserError(f"no savepoint within {timeout:.0f} s; the job goes on")

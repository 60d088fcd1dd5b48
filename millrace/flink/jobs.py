"""List Flink jobs, find those that live, and stop one with a savepoint."""

from __future__ import annotations

import re
import time
from contextlib import AbstractContextManager
from pathlib import Path

from config import products
from config.errors import UserError
from config.files import locked
from config.settings import Settings
from millrace.flink import rest as cluster
from millrace.stack.layout import Layout
from millrace.stack.parts import flink


def declared(settings: Settings, job: str) -> products.Job:
    """Return the job of that name. Raise UserError unless it is declared and its file exists."""
    every = products.jobs(settings)
    if job not in every:
        raise UserError(f"no job named {job}; products declare: {', '.join(every)}")
    if not every[job].file.exists():
        raise UserError(f"job {job}: {every[job].file} does not exist")
    return every[job]


def exclusive(settings: Settings, job: str) -> AbstractContextManager[None]:
    """Hold the job's lock: only the keeper or one person may submit or stop it at a time."""
    return locked(Layout.of(settings).jobs / f"{job}.lock")


def stopped_on_purpose(settings: Settings, job: str) -> bool:
    """Return whether a person stopped it, so that the keeper leaves it alone."""
    return _mark(settings, job).exists()


def unmark(settings: Settings, job: str) -> None:
    """Forget that a person stopped it: it was submitted again."""
    _mark(settings, job).unlink(missing_ok=True)


def _mark(settings: Settings, job: str) -> Path:
    return Layout.of(settings).jobs / f"{job}.stopped"


def living(settings: Settings, job: str) -> str | None:
    """Return the id of the job of that name that has not ended, or None.

    Raise RetryableError if the JobManager is away.
    """
    return next(
        (
            one["jid"]
            for one in cluster.overview(settings)
            if one["name"] == job and one["state"] in cluster.LIVING
        ),
        None,
    )


def stop(settings: Settings, job: str, timeout: float = 120.0) -> Path:
    """Stop a job with a savepoint and return the savepoint's path; the job stays stopped.

    Raise UserError if the job is not running or has no savepoint in `timeout` seconds,
    RetryableError if the JobManager is away.
    """
    folder = Layout.of(settings).savepoints / job
    with exclusive(settings, job):
        running = living(settings, job)
        if running is None:
            raise UserError(f"{job} is not running")
        folder.mkdir(parents=True, exist_ok=True)
        # Mark first: the keeper must not bring it back between the stop and the mark.
        _mark(settings, job).touch()
        try:
            return savepoint(settings, running, folder, timeout)
        except Exception:
            _mark(settings, job).unlink(missing_ok=True)
            raise


def savepoint(settings: Settings, job_id: str, folder: Path, timeout: float = 120.0) -> Path:
    """Stop the job of that id with a savepoint in `folder`, and return its path.

    Raise UserError if there is none in `timeout` seconds, RetryableError if the JobManager is away.
    """
    deadline = time.monotonic() + timeout
    # A job that has just come back is RUNNING before its tasks are, and Flink refuses until then.
    while not _whole(settings, job_id):
        if time.monotonic() >= deadline:
            raise UserError(f"no savepoint: not all tasks run after {timeout:.0f} s")
        time.sleep(0.2)
    body = {"targetDirectory": flink.uri(folder), "drain": False}
    request = cluster.rest(settings, f"/jobs/{job_id}/stop", body=body)["request-id"]
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
    raise UserError(f"no savepoint within {timeout:.0f} s; the job is still running")


def _whole(settings: Settings, job_id: str) -> bool:
    """Return whether every task of the job runs or has ended, or the job itself has."""
    for one in cluster.overview(settings):
        if one["jid"] == job_id and one["state"] in cluster.LIVING:
            tasks = one["tasks"]
            return bool(tasks["running"] + tasks.get("finished", 0) >= tasks["total"])
    return True


def reason(output: str) -> str:
    """Return the line of a client's output that explains most.

    That is the innermost cause, else the last line.

    Py4J puts Java's error on the line after its own, behind a colon.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by:")]
    java = [line.removeprefix(": ") for line in lines if re.match(r": [\w.$]+: ", line)]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line)]
    return (causes or java or errors or lines or ["it printed nothing"])[-1]

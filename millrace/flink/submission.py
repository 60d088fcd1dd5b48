"""Submit jobs to the session cluster by one client for all that are wanted at the moment."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.errors import UserError
from config.settings import ROOT, Settings
from millrace.flink import jobs, lineage, outside
from millrace.stack.layout import Layout
from millrace.stack.parts import flink

# Allow for a JVM on a busy machine, then for one job at a time.
CLIENT_TIMEOUT_S, JOB_TIMEOUT_S = 150, 30
# The client is short-lived: it starts sooner without the second compiler.
CLIENT_JVM = "-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"
# Flink deletes a claimed checkpoint once it has a newer one.
CLAIMED, KEPT = "CLAIM", "NO_CLAIM"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to submit from a checkpoint or savepoint, or without state if None.

    With `drops_state`, state in the savepoint of operators the job no longer has is left behind;
    without it Flink refuses such a savepoint.
    """

    name: str
    resume: Path | None = None
    drops_state: bool = False


def submit(settings: Settings, wanted: Wanted) -> str:
    """Submit one job and return its id; the caller holds `jobs.exclusive`.

    Raise UserError with Flink's own reason if it is refused or takes too long, RetryableError if
    the cluster is away.
    """
    outcome = submit_all(settings, [wanted])[wanted.name]
    if isinstance(outcome, UserError):
        raise outcome
    return outcome


def submit_all(settings: Settings, wanted: list[Wanted]) -> dict[str, str | UserError]:
    """Submit jobs one after the other by one client; return each job's id or its error.

    The caller holds `jobs.exclusive` of each. A refused job does not prevent the others from being
    submitted. Raise RetryableError if the cluster is away.
    """
    outcomes: dict[str, str | UserError] = {}
    fit: list[Wanted] = []
    for one in wanted:
        try:
            _check(settings, one)
            fit.append(one)
        except UserError as error:
            outcomes[one.name] = error
    if fit:
        outcomes |= _through_client(settings, fit)
    return outcomes


def _check(settings: Settings, one: Wanted) -> None:
    jobs.declared(settings, one.name)
    if (running := jobs.living(settings, one.name)) is not None:
        raise UserError(
            f"{one.name} is already running ({running}): type `millrace jobs stop {one.name}` first"
        )
    if one.resume is not None and not (one.resume / "_metadata").exists():
        raise UserError(f"{one.resume} is not a checkpoint or savepoint: it has no _metadata")


def _through_client(settings: Settings, wanted: list[Wanted]) -> dict[str, str | UserError]:
    before = {one.name: lineage.current(settings, one.name) for one in wanted}
    lines = {one.name: lineage.begin(settings, one.name, one.resume) for one in wanted}
    request = [job(settings, one, lines[one.name]) for one in wanted]
    flink.prepare(settings, "client")
    answers, printed = _client(settings, request)
    outcomes: dict[str, str | UserError] = {}
    for one in wanted:
        answer = answers.get(one.name)
        if answer is None:
            # It is unknown whether Flink got it, so the new line stays: it begins with the state
            # that the job was to resume from.
            outcomes[one.name] = UserError(
                f"the client ended before {one.name}: {jobs.reason(printed)}"
            )
        elif "error" in answer:
            lineage.put_back(settings, one.name, before[one.name])
            outcomes[one.name] = UserError(
                f"Flink refused {one.name}: {jobs.reason(answer['error'])}"
            )
        else:
            jobs.unmark(settings, one.name)
            outcomes[one.name] = answer["id"]
    return outcomes


def job(settings: Settings, wanted: Wanted, line: lineage.Line) -> dict[str, object]:
    """Return a job as processing/submission.py takes it.

    Each job keeps its checkpoints and savepoints in folders of its own name. A retained checkpoint
    is claimed; a savepoint stays its maker's.
    """
    layout, module = Layout.of(settings), jobs.declared(settings, wanted.name).module
    options = {
        "$internal.pipeline.job-id": line.job_id,
        "execution.checkpointing.dir": flink.uri(layout.checkpoints / wanted.name),
        "execution.checkpointing.savepoint-dir": flink.uri(layout.savepoints / wanted.name),
    }
    if wanted.resume is not None:
        ours = wanted.resume.is_relative_to(layout.checkpoints)
        options |= {
            "execution.state-recovery.path": flink.uri(wanted.resume),
            "execution.state-recovery.claim-mode": CLAIMED if ours else KEPT,
            "execution.state-recovery.ignore-unclaimed-state": str(wanted.drops_state).lower(),
        }
    return {"name": wanted.name, "module": module, "options": options}


def _client(
    settings: Settings, request: list[dict[str, object]]
) -> tuple[dict[str, Mapping[str, str]], str]:
    """Run the client; return its answers by job and its output."""
    with tempfile.TemporaryDirectory(dir=Layout.of(settings).jobs, prefix=".client.") as folder:
        asked, told = Path(folder) / "request.json", Path(folder) / "answers.jsonl"
        asked.write_text(json.dumps(request), encoding="utf-8")
        line = [str(Layout.of(settings).flink_python), "-m", "processing.submission"]
        timeout = CLIENT_TIMEOUT_S + JOB_TIMEOUT_S * len(request)
        try:
            done = subprocess.run(
                [*line, str(asked), str(told)],
                env=environment(settings),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=timeout,
            )
            printed = done.stdout + done.stderr
        except subprocess.TimeoutExpired:
            printed = f"not within {timeout} s: see `millrace logs jobmanager`"
        answers = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
        return {one["name"]: one for one in map(json.loads, answers)}, printed


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

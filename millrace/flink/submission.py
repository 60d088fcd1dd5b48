"""Submit jobs to the session cluster by one client for all that are wanted at the moment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from config import products
from config.errors import RetryableError, UserError
from config.settings import Settings
from millrace.flink import jobs, lineage
from millrace.flink import rest as cluster
from millrace.flink.client import Client
from millrace.stack.layout import Layout
from millrace.stack.parts import flink

# Flink deletes a claimed checkpoint once it has a newer one.
CLAIMED, KEPT = "CLAIM", "NO_CLAIM"
# A TaskManager ends itself when a task does not end within three minutes of being cancelled.
LINGERING_S = 60.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to submit from a checkpoint or savepoint, or without state if None.

    With `drops_state`, state in the savepoint of operators the job no longer has is left behind;
    without it Flink refuses such a savepoint.
    """

    name: str
    resume: Path | None = None
    drops_state: bool = False


def refusal(name: str, printed: str) -> UserError:
    """Return why Flink refused a job, and what helps where its state does not fit any more."""
    why = f"Flink refused {name}: {jobs.reason(printed)}"
    if "allowNonRestoredState" in printed:
        why += f" Here that is `millrace jobs submit {name} --drop-state`"
    return UserError(why)


def resumable(settings: Settings, name: str) -> Path | None:
    """Return the state that a job goes on from: None if it has none, or a start of its own."""
    return None if _own_start(settings, name) else lineage.latest(settings, name)


def again(settings: Settings, name: str) -> Wanted:
    """Return the job with the state that it goes on from, as it was submitted from it before."""
    resume, line = resumable(settings, name), lineage.current(settings, name)
    same = line is not None and resume is not None and resume == line.resumed_from
    return Wanted(name, resume, same and line is not None and line.drops_state)


def _own_start(settings: Settings, name: str) -> str | None:
    declared = products.jobs(settings).get(name)
    return None if declared is None else declared.start


def submit(settings: Settings, wanted: Wanted) -> str:
    """Submit one job and return its id; the caller holds `jobs.exclusive`.

    Raise UserError with Flink's own reason if it is refused or takes too long, RetryableError if
    the cluster is away.
    """
    outcome = submit_all(settings, [wanted])[wanted.name]
    if isinstance(outcome, UserError):
        raise outcome
    return outcome


def submit_all(
    settings: Settings, wanted: list[Wanted], client: Client | None = None
) -> dict[str, str | UserError]:
    """Submit jobs one after the other by one client; return each job's id or its error.

    The caller holds `jobs.exclusive` of each. A refused job does not prevent the others from being
    submitted. `client` is one started ahead, which ends by this; without it one is started. Raise
    RetryableError if the cluster is away.
    """
    outcomes: dict[str, str | UserError] = {}
    fit: list[Wanted] = []
    with ExitStack() as opened:
        if client is not None:
            opened.enter_context(client)
        for one in wanted:
            try:
                _check(settings, one)
                fit.append(one)
            except UserError as error:
                outcomes[one.name] = error
        if fit:
            client = client or opened.enter_context(Client(settings))
            outcomes |= _through(client, settings, fit)
    return outcomes


def _check(settings: Settings, one: Wanted) -> None:
    jobs.declared(settings, one.name)
    if one.resume is not None and _own_start(settings, one.name):
        raise UserError(f"{one.name} goes on from what it has written, never from a savepoint")
    if (running := jobs.living(settings, one.name)) is not None:
        raise UserError(
            f"{one.name} is already running ({running}): type `millrace jobs stop {one.name}` first"
        )
    if one.resume is not None and not (one.resume / "_metadata").exists():
        raise UserError(f"{one.resume} is not a checkpoint or savepoint: it has no _metadata")


def _start(
    settings: Settings, module: str, former: lineage.Line | None
) -> dict[str, str] | UserError:
    """Return the options of a job with a start of its own, or why there are none.

    `former` is the line of its last submission.
    """
    try:
        if former is not None:
            _await_the_end_of_others(settings)
        found: dict[str, str] = import_module(module).options(settings)
    except UserError as error:
        return error
    except RetryableError as error:
        return UserError(str(error))
    except Exception as error:
        # Whatever its store raises: the other jobs run all the same.
        return UserError(f"it cannot tell where to go on: {error}")
    return found


def _await_the_end_of_others(settings: Settings) -> None:
    """Wait until no task runs of a job that the cluster does not know any more.

    It may still commit, and a job that had looked up its start before would write the same again.
    Raise RetryableError if that takes too long, or the cluster is away.
    """
    deadline = time.monotonic() + LINGERING_S
    while (found := cluster.lingering(settings)) is None or found:
        if time.monotonic() >= deadline:
            held = f"of {', '.join(found)} still run" if found else "may still run: none is there"
            raise RetryableError(f"TaskManagers: tasks {held}")
        time.sleep(0.2)


def _through(
    client: Client, settings: Settings, wanted: list[Wanted]
) -> dict[str, str | UserError]:
    before = {one.name: lineage.current(settings, one.name) for one in wanted}
    resumed = [one for one in wanted if not _own_start(settings, one.name)]
    # These first: they need not wait until the others have looked where they go on.
    client.send([_begin(settings, one, {}) for one in resumed])
    outcomes: dict[str, str | UserError] = {}
    last = []
    for one in wanted:
        if module := _own_start(settings, one.name):
            start = _start(settings, module, before[one.name])
            if isinstance(start, UserError):
                outcomes[one.name] = start
            else:
                last.append(_begin(settings, one, start))
    answers, printed = client.submit(last)
    outcomes |= _outcomes(
        settings, [one for one in wanted if one.name not in outcomes], answers, before, printed
    )
    return outcomes


def _begin(settings: Settings, one: Wanted, start: dict[str, str]) -> dict[str, object]:
    """Put a job on a new line and return its request."""
    line = lineage.begin(settings, one.name, one.resume, one.drops_state)
    return job(settings, one, line, start)


def _outcomes(
    settings: Settings,
    wanted: list[Wanted],
    answers: Mapping[str, Mapping[str, str]],
    before: Mapping[str, lineage.Line | None],
    printed: str,
) -> dict[str, str | UserError]:
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
            outcomes[one.name] = refusal(one.name, answer["error"])
        else:
            jobs.unmark(settings, one.name)
            outcomes[one.name] = answer["id"]
    return outcomes


def job(
    settings: Settings, wanted: Wanted, line: lineage.Line, start: dict[str, str] | None = None
) -> dict[str, object]:
    """Return a job as processing/submission.py takes it; `start` are options of its own.

    Each job keeps its checkpoints and savepoints in folders of its own name. A retained checkpoint
    is claimed; a savepoint stays its maker's.
    """
    layout, module = Layout.of(settings), jobs.declared(settings, wanted.name).module
    options = {
        "$internal.pipeline.job-id": line.job_id,
        "execution.checkpointing.dir": flink.uri(layout.checkpoints / wanted.name),
        "execution.checkpointing.savepoint-dir": flink.uri(layout.savepoints / wanted.name),
        **(start or {}),
    }
    if wanted.resume is not None:
        ours = wanted.resume.is_relative_to(layout.checkpoints)
        options |= {
            "execution.state-recovery.path": flink.uri(wanted.resume),
            "execution.state-recovery.claim-mode": CLAIMED if ours else KEPT,
            "execution.state-recovery.ignore-unclaimed-state": str(wanted.drops_state).lower(),
        }
    return {"name": wanted.name, "module": module, "options": options}

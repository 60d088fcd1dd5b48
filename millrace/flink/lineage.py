"""Track which line of state a job is on, so that a rollback stays a rollback.

A job may be started from an older savepoint while checkpoints of the abandoned line still exist,
newer than that savepoint. So each submission writes down the id its job will have and the state it
resumes from. After that only this job's own checkpoints and savepoints are resumed from, or the
state it came from as long as it has none.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from config.files import write
from config.settings import Settings
from millrace.stack.layout import Layout


@dataclass(frozen=True, slots=True)
class Line:
    """A submission: the id of its job, and the state it resumed from (None: it began empty).

    With `drops_state` it left behind there what it has no operators for.
    """

    job_id: str
    resumed_from: Path | None
    drops_state: bool = False


def begin(settings: Settings, job: str, resume: Path | None, drops_state: bool = False) -> Line:
    """Put a job on a new line and return it.

    Call before asking Flink: a process that dies in between must not leave a job that runs on an
    unrecorded line.
    """
    line = Line(uuid.uuid4().hex, resume, drops_state)
    _write(settings, job, line)
    return line


def current(settings: Settings, job: str) -> Line | None:
    """Return the line of the newest submission; None for a job that was never submitted."""
    try:
        found = json.loads(_file(settings, job).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    resumed_from = found["resumed_from"]
    return Line(
        found["id"],
        Path(resumed_from) if resumed_from else None,
        bool(found.get("drops_state", False)),
    )


def put_back(settings: Settings, job: str, line: Line | None) -> None:
    """Restore an earlier line after a refused submission, as the new line never began."""
    if line is None:
        _file(settings, job).unlink(missing_ok=True)
    else:
        _write(settings, job, line)


def latest(settings: Settings, job: str) -> Path | None:
    """Return the newest complete checkpoint or savepoint of the job's line; None if it began empty.

    Without a line (a state folder that came from elsewhere), return the newest of all.
    """
    line = current(settings, job)
    if line is None:
        return _newest(settings, job, "*", "*")
    # Flink names a savepoint after the first six digits of its job's id.
    own = _newest(settings, job, line.job_id, f"savepoint-{line.job_id[:6]}-*")
    return own or line.resumed_from


def _newest(settings: Settings, job: str, job_id: str, savepoint: str) -> Path | None:
    layout = Layout.of(settings)
    found = [
        *(layout.checkpoints / job).glob(f"{job_id}/chk-*/_metadata"),
        *(layout.savepoints / job).glob(f"{savepoint}/_metadata"),
    ]
    complete: list[tuple[float, Path]] = []
    for path in found:
        try:
            complete.append((path.stat().st_mtime, path.parent))
        except FileNotFoundError:  # a running job removes its old ones
            continue
    return max(complete)[1] if complete else None


def _write(settings: Settings, job: str, line: Line) -> None:
    resumed_from = str(line.resumed_from) if line.resumed_from else None
    told = {"id": line.job_id, "resumed_from": resumed_from, "drops_state": line.drops_state}
    text = json.dumps(told)
    write(_file(settings, job), text)


def _file(settings: Settings, job: str) -> Path:
    return Layout.of(settings).jobs / f"{job}.line.json"

"""`python -m millrace.stack.run NAME`: prepare a process's files, then become it. What Supervisor and compose start."""

from __future__ import annotations

import json
import os
import sys

import psutil

from config.errors import UserError
from config.settings import ROOT, Settings, settings
from millrace.stack import secrets
from millrace.stack.files import write
from millrace.stack.layout import Layout
from millrace.stack.processes import Process, processes


def environment(process: Process, loaded: Settings) -> dict[str, str]:
    """The process's whole environment."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")}
    extra = {"MILLRACE_API_KEYS": secrets.api_keys(loaded)} if process.name == "api" else {}
    path = os.pathsep.join(part for part in (str(ROOT), inherited.get("PYTHONPATH", "")) if part)
    return {**inherited, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **process.env, **extra}


def main() -> None:
    """Write the pid file and become the process; exit with 2 when it cannot be prepared."""
    try:
        loaded = settings()
        process = processes(loaded)[sys.argv[1]]
        process.prepare(loaded)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    # The pid stays the same over exec, so that the process is found also when Supervisor is gone.
    mark = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    write(Layout.of(loaded).run / f"{process.name}.pid", json.dumps(mark))
    os.chdir(ROOT)
    os.execvpe(process.command[0], process.command, environment(process, loaded))  # noqa: S606


if __name__ == "__main__":
    main()

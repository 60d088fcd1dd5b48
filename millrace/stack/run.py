"""Prepare a process's files, then become it: `python -m millrace.stack.run NAME [ENVIRONMENT]`.

Supervisor and compose start this. Supervisor names the file with the settings of the shell that
typed `up` or `restart`; a container's settings are its own environment.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil

from config.errors import UserError
from config.files import write
from config.products import products
from config.settings import ROOT, Settings, settings
from millrace.errors import told
from millrace.stack import environ
from millrace.stack.layout import Layout
from millrace.stack.process import Process
from millrace.stack.processes import declared


def environment(process: Process, loaded: Settings) -> dict[str, str]:
    """Return the process's whole environment."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("SUPERVISOR_")
    }
    outside = dict.fromkeys(
        str(product.root) for product in products(loaded) if product.root == product.folder
    )
    parts = (str(ROOT), inherited.get("PYTHONPATH", ""), *outside)
    path = os.pathsep.join(part for part in parts if part)
    own = {**process.env, **process.secrets(loaded)}
    return {**inherited, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **own}


def main() -> None:
    """Become the process.

    Print one line on stderr and exit with code 2 if it cannot be prepared or started.
    """
    name, *given = sys.argv[1:]
    try:
        if given:
            environ.adopt(Path(given[0]))
        become(name)
    except (UserError, OSError) as error:
        sys.stderr.write(f"{told(error)}\n")
        sys.exit(2)


def become(name: str) -> None:
    """Write the pid file and become the process.

    Raise UserError for bad settings, OSError for files.
    """
    loaded = settings()
    process = declared(loaded)[name]
    process.prepare(loaded)
    # The pid stays the same over exec, so the process can be found even when Supervisor is gone.
    mark = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    write(Layout.of(loaded).run / f"{process.name}.pid", json.dumps(mark))
    os.chdir(ROOT)
    os.execvpe(process.command[0], process.command, environment(process, loaded))  # noqa: S606


if __name__ == "__main__":
    main()

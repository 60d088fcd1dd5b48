"""The settings of whoever starts a process, kept beside its pid file.

Supervisor gives its children the environment that it was itself started with, by the first `up`. So
`up` and `restart` leave their own here, and the process takes it up, also when Supervisor starts it
again. Readable by its owner alone: keys and passwords are among the settings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from config.files import write
from config.settings import PREFIX
from millrace.stack.layout import Layout


def file(layout: Layout, name: str) -> Path:
    """Where a process's settings are kept."""
    return layout.run / f"{name}.environment"


def keep(layout: Layout, names: Iterable[str]) -> None:
    """Leave this process's settings to the named ones."""
    text = json.dumps(
        {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    )
    for name in names:
        write(file(layout, name), text, mode=0o600)


def adopt(path: Path) -> None:
    """Make the settings kept there this process's own, in place of what it inherited.

    Without a file it keeps that.
    """
    with suppress(FileNotFoundError):
        kept = json.loads(path.read_text())
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        os.environ.update(kept)

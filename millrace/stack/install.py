"""Bring what the running groups need beyond the first set-up, when it is first needed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from config.errors import UserError
from config.products import groups, setups
from config.settings import Settings
from millrace.stack.layout import Layout
from millrace.stack.parts import airflow, monitoring


def missing(settings: Settings) -> list[str]:
    """Return the set-ups of the running groups whose parts are not there."""
    layout = Layout.of(settings)
    found = [name for name in setups(settings) if not any(layout.jars(name).glob("*.jar"))]
    if airflow.GROUP in groups(settings) and not layout.airflow_python.exists():
        found.append(airflow.GROUP)
    if monitoring.GROUP in groups(settings) and not monitoring.installed():
        found.append(monitoring.GROUP)
    return found


def bring(settings: Settings, say: Callable[[str], None]) -> None:
    """Run `scripts/setup.sh` for what is missing. Raise UserError if it fails."""
    for name in missing(settings):
        say(f"setting up {name}, once")
        line = ("scripts/setup.sh", "--for", "demo", "--with", name)
        done = subprocess.run(
            line,
            cwd=Layout.of(settings).root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stdout.strip().splitlines() or ["it printed nothing"])[-1]
            raise UserError(f"`{' '.join(line)}` failed: {last}")

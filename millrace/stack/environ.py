"""What the stack keeps for its processes: settings, the groups that run, the API's own key.

Supervisor gives its children the environment that it was itself started with, by the first `up`. So
`up` and `restart` leave their own here, and the process takes it up, also when Supervisor starts it
again. Readable by its owner alone: keys and passwords are among the settings.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from config.files import write
from config.products import groups, known_groups
from config.settings import PREFIX, Settings
from millrace.stack.layout import Layout

_GROUPS = f"{PREFIX}GROUPS"


def file(layout: Layout, name: str) -> Path:
    """Where a process's settings are kept."""
    return layout.run / f"{name}.environment"


def keep(layout: Layout, names: Iterable[str], settings: Settings) -> None:
    """Leave this process's settings to the named ones, with the groups of `settings`."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    text = json.dumps({**kept, _GROUPS: _joined(groups(settings))})
    for name in names:
        write(file(layout, name), text, mode=0o600)


def kept_groups(layout: Layout, name: str, settings: Settings) -> Settings:
    """`settings` with the groups that the named process was started with."""
    try:
        kept = json.loads(file(layout, name).read_text())
    except FileNotFoundError:
        return settings
    return settings.model_copy(update={"groups": kept.get(_GROUPS, settings.groups)})


def widen(layout: Layout, settings: Settings) -> Settings:
    """`settings` with the groups that the running stack has beside its own.

    `up --with` may have been typed in another shell than the command that asks.
    """
    try:
        kept = set(_groups_file(layout).read_text().split(","))
    except FileNotFoundError:
        return settings
    wider = groups(settings) | (kept & set(known_groups(settings)))
    return settings.model_copy(update={"groups": _joined(wider)})


def keep_groups(layout: Layout, settings: Settings) -> None:
    """Note the groups that the stack runs with from now on."""
    write(_groups_file(layout), _joined(groups(settings)))


def forget_groups(layout: Layout) -> None:
    """The stack is down: the next `up` begins with its own groups."""
    _groups_file(layout).unlink(missing_ok=True)


def _groups_file(layout: Layout) -> Path:
    return layout.run / "groups"


def _joined(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def adopt(path: Path) -> None:
    """Make the settings kept there this process's own, in place of what it inherited.

    Without a file it keeps that.
    """
    with suppress(FileNotFoundError):
        kept = json.loads(path.read_text())
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        os.environ.update(kept)


def api_keys(settings: Settings) -> str:
    """The keys the API accepts, comma-separated.

    The settings', else one made once, readable by its owner alone.
    """
    given = settings.api_keys.get_secret_value()
    if given:
        return given
    path = Layout.of(settings).api_key
    if not path.exists():
        write(path, secrets.token_urlsafe(24) + "\n", mode=0o600)
    return path.read_text().strip()

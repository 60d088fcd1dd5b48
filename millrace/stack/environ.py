"""Keep each process's settings: environment, enabled groups, the API's own key.

Supervisor gives its children the environment it was itself started with, by the first `up`. So `up`
and `restart` leave their own here, and the process adopts it, also when Supervisor restarts it. The
files are readable by their owner alone, as keys and passwords are among the settings.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from config.files import write
from config.products import OUTSIDE_FILE, groups, known_groups
from config.settings import PREFIX, ROOT, Settings
from millrace.stack.layout import Layout

_GROUPS, _PRODUCTS = f"{PREFIX}GROUPS", f"{PREFIX}PRODUCTS_PATH"


def file(layout: Layout, name: str) -> Path:
    """Return the file that keeps a process's settings."""
    return layout.run / f"{name}.environment"


def keep(layout: Layout, names: Iterable[str], settings: Settings) -> None:
    """Keep this process's settings for the named ones, with groups and products of `settings`."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    kept |= {_GROUPS: _joined(groups(settings)), _PRODUCTS: settings.products_path}
    text = json.dumps(kept)
    for name in names:
        write(file(layout, name), text, mode=0o600)


def kept_groups(layout: Layout, name: str, settings: Settings) -> Settings:
    """Return `settings` with the groups that the named process was started with."""
    try:
        kept = json.loads(file(layout, name).read_text())
    except FileNotFoundError:
        return settings
    known = known_groups(settings)
    on = [group for group in kept.get(_GROUPS, "").split(",") if group in known]
    return settings.model_copy(update={"groups": _joined(on)}) if on else settings


def widen(layout: Layout, settings: Settings) -> Settings:
    """Return `settings` with the groups and the products outside of the running stack added.

    `up` may have been typed in another shell, with other settings, than the present command.
    """
    try:
        kept = json.loads(_stack_file(layout).read_text())
    except FileNotFoundError:
        return settings
    before = groups(settings)
    own = [folder for folder in settings.products_path.split(os.pathsep) if folder]
    others = [
        folder
        for folder in kept["products_path"].split(os.pathsep)
        if folder and folder not in own and (ROOT / folder / OUTSIDE_FILE).exists()
    ]
    path = os.pathsep.join((*own, *others))
    wider = settings.model_copy(update={"products_path": path})
    on = before | (set(kept["groups"]) & set(known_groups(wider)))
    return wider.model_copy(update={"groups": _joined(on)})


def keep_stack(layout: Layout, settings: Settings) -> None:
    """Record the groups and the products outside that the stack runs with from now on."""
    kept = {"groups": sorted(groups(settings)), "products_path": settings.products_path}
    write(_stack_file(layout), json.dumps(kept))


def forget_stack(layout: Layout) -> None:
    """Forget the stack's groups and products after `down`: the next `up` uses its own settings."""
    _stack_file(layout).unlink(missing_ok=True)


def _stack_file(layout: Layout) -> Path:
    return layout.run / "stack.json"


def _joined(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def adopt(path: Path) -> None:
    """Replace this process's inherited settings by those kept in the file.

    Without a file, keep the inherited ones.
    """
    with suppress(FileNotFoundError):
        kept = json.loads(path.read_text())
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        os.environ.update(kept)


def api_keys(settings: Settings) -> str:
    """Return the keys that the API accepts, comma-separated.

    They are those of the settings, else one that is made once, readable by its owner alone.
    """
    return settings.api_keys.get_secret_value() or made_once(Layout.of(settings).api_key)


def made_once(path: Path) -> str:
    """Return the secret in a file; make it, readable by its owner alone, if there is none."""
    if not path.exists():
        write(path, secrets.token_urlsafe(24) + "\n", mode=0o600)
    return path.read_text().strip()

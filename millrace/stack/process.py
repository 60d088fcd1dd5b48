"""Define what one process of the stack is, and what processes have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from config.products import CORE
from config.settings import Settings


def _nothing(_settings: Settings) -> None:
    return None


def _no_secrets(_settings: Settings) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Probe:
    """The test of whether a process is ready.

    `kind` names a function of `millrace.stack.probes`, `target` its argument.
    """

    kind: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """One process.

    `command` is the final command; `python -m millrace.stack.run <name>` prepares configuration and
    storage and then executes it. `ports` are by purpose. `memory` is the most it should need, in
    MiB. `oneshot` processes are ready when they have exited with 0. `early` ones wait for their
    dependencies themselves, so that `up` starts them at once. `serves` is what it does for
    the enabled groups: when that grows, `up` restarts the process. `secrets` are added to its
    environment as it starts. A `local` one has no container of ours. `also`: further groups that
    bring it.
    """

    name: str
    command: tuple[str, ...]
    ready: Probe
    memory: int
    ports: dict[str, int] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    prepare: Callable[[Settings], None] = _nothing
    oneshot: bool = False
    early: bool = False
    group: str = CORE
    also: tuple[str, ...] = ()
    serves: tuple[str, ...] = ()
    secrets: Callable[[Settings], dict[str, str]] = _no_secrets
    local: bool = False

    @property
    def groups(self) -> frozenset[str]:
        """Return the groups any of which brings the process with it."""
        return frozenset((self.group, *self.also))


def health(settings: Settings, port: int) -> str:
    """Return the URL of the page that says whether the process with that port is ready."""
    return f"http://{settings.host}:{port}/readyz"


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module in the interpreter that runs this."""
    return (sys.executable, "-m", module, *arguments)

"""Start and stop the stack in dependency order, reporting progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Set

from config.errors import UserError
from config.products import CORE, known_groups
from config.settings import Settings
from millrace.stack import environ, install, orphans, ports, probes
from millrace.stack.layout import Layout
from millrace.stack.process import Process
from millrace.stack.processes import declared, selected
from millrace.stack.supervisor import Info, Supervisor

Say = Callable[[str], None]
POLL_S = 0.1
TELL_EVERY_S = 15.0
ONESHOT_TRIES = 3  # a broker that has just started may not answer in time on a loaded machine
ALIVE = {"RUNNING", "STARTING", "BACKOFF"}


def up(
    settings: Settings,
    say: Say,
    only: tuple[str, ...] = (),
    timeout: float = 120.0,
    meanwhile: Callable[[Set[str]], None] = lambda ready: None,
) -> None:
    """Start the processes, each as soon as its dependencies are ready, and wait until all are.

    `only` names processes and groups; a group named there is enabled for the keeper and the API as
    well. Running processes continue, unless they must serve a group that was not enabled when they
    started.

    `meanwhile` is called a few times a second with the names of the ready processes, and may raise
    to give up. Raise UserError, naming the process and the reason, if a folder's path is unfit, a
    port is taken, or a process is not ready in time.
    """
    layout = Layout.of(settings)
    settings = environ.widen(layout, _narrowed(settings, only))
    wanted = selected(settings, only)
    if unfit := layout.unfit():
        raise UserError(unfit)
    install.bring(settings, say)
    supervisor = Supervisor(layout)
    known = supervisor.info()
    _stop_orphans(layout, {info.pid for info in known.values()}, say)
    grown = [
        name
        for name, process in wanted.items()
        if _runs(known.get(name)) and _grown(layout, process, settings)
    ]
    if grown:
        say(f"restarting for more groups: {', '.join(grown)}")
        _stop_stage(supervisor, set(grown), timeout)
        known = supervisor.info()
    ports.refuse_taken(
        [process for process in wanted.values() if not _runs(known.get(process.name))],
        settings.host,
    )
    # A process that waits for its restart gets the present settings then; a running one keeps those
    # it was started with.
    environ.keep(
        layout, [name for name in wanted if not (name in known and known[name].pid)], settings
    )
    environ.keep_stack(layout, settings)
    supervisor.start(declared(settings).values())
    _Start(settings, supervisor, say, wanted, known).run(timeout, meanwhile)


class _Start:
    """One `up`: what runs, what is ready, what still waits."""

    def __init__(
        self,
        settings: Settings,
        supervisor: Supervisor,
        say: Say,
        wanted: dict[str, Process],
        known: dict[str, Info],
    ) -> None:
        self._settings, self._supervisor, self._say = settings, supervisor, say
        self._wanted, self._ran = wanted, {name for name in wanted if _runs(known.get(name))}
        self._waiting = dict(wanted)
        self._ready: set[str] = set()
        self._started: set[str] = set()
        self._tries: dict[str, int] = {}

    def run(self, timeout: float, meanwhile: Callable[[Set[str]], None]) -> None:
        """Return when all are ready. Raise UserError after `timeout` seconds."""
        began = time.monotonic()
        patient_until = began + TELL_EVERY_S
        while self._waiting:
            meanwhile(self._ready)
            self._start_what_can()
            why = self._look(began)
            if self._waiting and time.monotonic() >= patient_until:
                self._say(f"waiting for {_told(why)}")
                patient_until += TELL_EVERY_S
            if self._waiting and time.monotonic() - began > timeout:
                raise UserError(_late(Layout.of(self._settings), why, self._waiting, timeout))
            time.sleep(POLL_S if self._waiting else 0)

    def _start_what_can(self) -> None:
        for name, process in self._waiting.items():
            if name in self._started:
                continue
            if process.early or self._ready.issuperset(process.depends_on):
                self._supervisor.start_process(name)
                self._started.add(name)

    def _look(self, began: float) -> dict[str, str]:
        """Record what became ready; return why the others are not."""
        info = self._supervisor.info()
        why: dict[str, str] = {}
        for name in [name for name in self._waiting if name in self._started]:
            reason = missing(self._wanted[name], self._settings, info.get(name))
            if reason is None:
                if name not in self._ran:
                    self._say(f"{name} ready after {time.monotonic() - began:.1f} s")
                self._ready.add(name)
                del self._waiting[name]
            else:
                why[name] = self._again(self._wanted[name], info.get(name), reason)
        return why

    def _again(self, process: Process, info: Info | None, reason: str) -> str:
        """Retry a failed one-off, `ONESHOT_TRIES` times in all; return why it is not ready."""
        tries = self._tries.setdefault(process.name, 1)
        if process.oneshot and info is not None and info.state == "EXITED":
            if tries < ONESHOT_TRIES:
                self._tries[process.name] = tries + 1
                self._say(f"{process.name} {reason}: retrying ({tries + 1} of {ONESHOT_TRIES})")
                self._supervisor.start_process(process.name)
            else:
                return f"{reason}, {tries} times"
        return reason


def waiting(settings: Settings, only: tuple[str, ...] = ()) -> list[str]:
    """Return a line for each ready process that waits for a person, with the command to type.

    Consider the named processes and their dependencies, or all processes if none is named.
    """
    settings = environ.widen(Layout.of(settings), settings)
    told = {name: probes.waiting(one) for name, one in selected(settings, only).items()}
    return [f"{name} {words}" for name, words in told.items() if words]


def _narrowed(settings: Settings, only: tuple[str, ...]) -> Settings:
    """Return the settings with core and the groups that `only` names; unchanged without any."""
    named = [name for name in only if name in known_groups(settings)]
    return settings.model_copy(update={"groups": ",".join({CORE, *named})}) if named else settings


def _grown(layout: Layout, process: Process, settings: Settings) -> bool:
    """Return whether a running process does not yet serve all that it should."""
    before = declared(environ.kept_groups(layout, process.name, settings))[process.name]
    return not set(process.serves) <= set(before.serves)


def _told(why: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in why.items())


def _stop_orphans(layout: Layout, supervised: set[int], say: Say) -> None:
    left = orphans.orphans(layout, supervised)
    if left:
        say(f"ending leftover processes: {', '.join(orphan.name for orphan in left)}")
        orphans.stop(left)


def restart(settings: Settings, say: Say, names: tuple[str, ...], timeout: float = 120.0) -> None:
    """Stop these processes and start them again.

    Raise UserError for an unknown name, and as `up` does.
    """
    if unknown := set(names) - set(declared(settings)):
        raise UserError(
            f"no process named {', '.join(sorted(unknown))}; "
            f"there are: {', '.join(declared(settings))}"
        )
    _stop_stage(Supervisor(Layout.of(settings)), set(names), timeout)
    up(settings, say, names, timeout)


def missing(process: Process, settings: Settings, info: Info | None) -> str | None:
    """Return None when the process is ready, else why it is not."""
    if info is None:
        return "not started"
    if process.oneshot:
        if info.state == "EXITED" and info.exit_status == 0:
            return None
        return (
            f"exited with {info.exit_status}" if info.state in {"EXITED", "FATAL"} else info.state
        )
    return probes.missing(process, settings) if info.state == "RUNNING" else info.state


def _runs(info: Info | None) -> bool:
    return info is not None and info.state in ALIVE


def _late(layout: Layout, why: dict[str, str], waiting: dict[str, Process], timeout: float) -> str:
    stuck = _told(why)
    behind = [name for name in waiting if name not in why]
    after = f"; not started, as they wait for these: {', '.join(behind)}" if behind else ""
    first = next(iter(why))
    return (
        f"not ready after {timeout:.0f} s: {stuck}{after}. "
        f"Look at {layout.logs}, or type `millrace logs {first}`"
    )


def down(settings: Settings, say: Say, timeout: float = 30.0) -> None:
    """Stop everything, dependents first, and make sure that nothing is left.

    Raise UserError for processes still running after `timeout` seconds.
    """
    layout = Layout.of(settings)
    supervisor = Supervisor(layout)
    if supervisor.running():
        for stage in _stages(settings):
            _stop_stage(supervisor, stage, timeout)
        supervisor.shutdown(timeout)
        say("stopped")
    else:
        say("the stack is not running")
    environ.forget_stack(layout)
    _stop_orphans(layout, set(), say)


def _stages(settings: Settings) -> list[set[str]]:
    """Return names by depth of dependency, deepest first; a stage stops as a whole."""
    every = declared(settings)
    depth: dict[str, int] = {}
    for name, process in every.items():
        depth[name] = 1 + max((depth[other] for other in process.depends_on), default=-1)
    return [
        {name for name in every if depth[name] == level}
        for level in range(max(depth.values()), -1, -1)
    ]


def _stop_stage(supervisor: Supervisor, stage: set[str], timeout: float) -> None:
    for name in stage:
        supervisor.stop_process(name)
    deadline = time.monotonic() + timeout
    while any(info.name in stage and info.pid for info in supervisor.info().values()):
        if time.monotonic() > deadline:
            raise UserError(f"not stopped after {timeout:.0f} s: {', '.join(sorted(stage))}")
        time.sleep(POLL_S)

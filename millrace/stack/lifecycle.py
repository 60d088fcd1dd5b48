"""Up and down: what starts when, and what is said meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Set

from config.errors import UserError
from config.settings import Settings
from millrace.stack import environ, orphans, ports, probes
from millrace.stack.layout import Layout
from millrace.stack.processes import Process, processes, selected
from millrace.stack.supervisor import Info, Supervisor

Say = Callable[[str], None]
POLL_S = 0.1
TELL_EVERY_S = 15.0
ALIVE = {"RUNNING", "STARTING", "BACKOFF"}


def up(
    settings: Settings,
    say: Say,
    only: tuple[str, ...] = (),
    timeout: float = 120.0,
    meanwhile: Callable[[Set[str]], None] = lambda ready: None,
) -> None:
    """Start the processes, each as soon as what it depends on is ready, and wait until all are.

    `meanwhile` is called a few times a second with the names of what is ready, and may raise to
    give up. Raises `UserError` when a folder's path is unfit, when a port is taken, or when
    something is not ready in time: it names what and why.
    """
    layout, wanted = Layout.of(settings), selected(settings, only)
    if unfit := layout.unfit():
        raise UserError(unfit)
    supervisor = Supervisor(layout)
    known = supervisor.info()
    left = orphans.orphans(layout, {info.pid for info in known.values()})
    if left:
        say(f"stopping what outlived its Supervisor: {', '.join(orphan.name for orphan in left)}")
        orphans.stop(left)
    ports.refuse_taken(
        [process for process in wanted.values() if not _runs(known.get(process.name))],
        settings.host,
    )
    # One that waits to be started again takes the settings of now then; one that runs keeps those
    # it runs with.
    environ.keep(layout, [name for name in wanted if not (name in known and known[name].pid)])
    supervisor.start(processes(settings).values())
    began = time.monotonic()
    patient_until = began + TELL_EVERY_S
    waiting = dict(wanted)
    ready: set[str] = set()
    started: set[str] = set()
    while waiting:
        meanwhile(ready)
        for name in [
            name
            for name in waiting
            if name not in started and ready.issuperset(wanted[name].depends_on)
        ]:
            supervisor.start_process(name)
            started.add(name)
        info = supervisor.info()
        why = {
            name: missing(process, settings, info.get(name))
            for name, process in waiting.items()
            if name in started
        }
        for name in [name for name, reason in why.items() if reason is None]:
            if not _runs(known.get(name)):
                say(f"{name} ready after {time.monotonic() - began:.1f} s")
            ready.add(name)
            del waiting[name]
        if waiting and time.monotonic() >= patient_until:
            say(
                "waiting for "
                + "; ".join(f"{name}: {why[name]}" for name in waiting if name in why)
            )
            patient_until += TELL_EVERY_S
        if waiting and time.monotonic() - began > timeout:
            raise UserError(_late(layout, why, waiting, timeout))
        time.sleep(POLL_S if waiting else 0)


def waiting(settings: Settings, only: tuple[str, ...] = ()) -> list[str]:
    """Return a line for each ready process that waits for a person, with the command to type.

    Of the named processes and what they depend on, of all when none is named.
    """
    told = {name: probes.waiting(one) for name, one in selected(settings, only).items()}
    return [f"{name} {words}" for name, words in told.items() if words]


def restart(settings: Settings, say: Say, names: tuple[str, ...], timeout: float = 120.0) -> None:
    """Stop these processes and start them again.

    Raises `UserError` for an unknown name, and as `up` does.
    """
    selected(settings, names)
    _stop_stage(Supervisor(Layout.of(settings)), set(names), timeout)
    up(settings, say, names, timeout)


def missing(process: Process, settings: Settings, info: Info | None) -> str | None:
    """None when the process is ready, else why not."""
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


def _late(
    layout: Layout, why: dict[str, str | None], waiting: dict[str, Process], timeout: float
) -> str:
    stuck = "; ".join(f"{name}: {reason}" for name, reason in why.items() if name in waiting)
    behind = [name for name in waiting if name not in why]
    after = f"; not started, as they wait for these: {', '.join(behind)}" if behind else ""
    first = next(iter(why))
    return (
        f"not ready after {timeout:.0f} s: {stuck}{after}. "
        f"Look at {layout.logs}, or type `millrace logs {first}`"
    )


def down(settings: Settings, say: Say, timeout: float = 30.0) -> None:
    """Stop everything, what depends on others first, and make sure that nothing is left.

    Raises `UserError` for what has not stopped after `timeout` seconds.
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
    left = orphans.orphans(layout, set())
    if left:
        say(f"stopping what outlived its Supervisor: {', '.join(orphan.name for orphan in left)}")
        orphans.stop(left)


def _stages(settings: Settings) -> list[set[str]]:
    """Names by depth of dependency, the deepest first: a stage stops at once, the next after it."""
    every = processes(settings)
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

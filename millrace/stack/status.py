"""Report what runs: one record per process, and the Flink jobs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from config.products import groups
from config.settings import Settings
from millrace.flink import rest as cluster
from millrace.stack import environ, probes
from millrace.stack.layout import Layout
from millrace.stack.lifecycle import missing
from millrace.stack.process import Process
from millrace.stack.processes import declared, processes
from millrace.stack.supervisor import Info, Supervisor


@dataclass(frozen=True, slots=True)
class State:
    """One process.

    `detail` says what is missing when it is not ready, and what a ready one waits for; `uptime_s`
    is 0 when it is not running.
    """

    name: str
    state: str
    ready: bool
    pid: int | None
    ports: dict[str, int]
    uptime_s: float
    detail: str


def status(settings: Settings) -> dict[str, Any]:
    """Return the whole status, ready for JSON: `running`, `groups`, `processes`, `jobs`.

    A process of a disabled group is listed if it runs all the same.
    """
    layout = Layout.of(settings)
    settings, info = environ.widen(layout, settings), Supervisor(layout).info()
    every, on = declared(settings), processes(settings)
    shown = [one for name, one in every.items() if name in on or (name in info and info[name].pid)]
    with ThreadPoolExecutor(max_workers=len(shown)) as pool:
        states = list(
            pool.map(lambda process: _state(process, settings, info.get(process.name)), shown)
        )
    reachable = any(state.name == "jobmanager" and state.ready for state in states)
    return {
        "running": bool(info),
        "state_dir": str(settings.state_dir),
        "groups": sorted(groups(settings)),
        "processes": [asdict(state) for state in states],
        "jobs": [asdict(job) for job in cluster.listing(settings)] if reachable else [],
    }


def _state(process: Process, settings: Settings, info: Info | None) -> State:
    why = missing(process, settings, info)
    running = info is not None and info.pid > 0
    return State(
        name=process.name,
        state=info.state if info else "STOPPED",
        ready=why is None,
        pid=info.pid if info and running else None,
        ports=process.ports,
        uptime_s=round(time.time() - info.started, 1) if info and running else 0.0,
        detail=why or probes.waiting(process) or "",
    )

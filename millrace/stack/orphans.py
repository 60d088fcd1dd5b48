"""Processes that outlived their Supervisor (it was killed), found by the pid files that `millrace.stack.run` writes."""

from __future__ import annotations

import json
from dataclasses import dataclass

import psutil

from millrace.stack.layout import Layout


@dataclass(frozen=True, slots=True)
class Orphan:
    """A process of this stack that nobody supervises."""

    name: str
    pid: int


def recorded(layout: Layout) -> dict[str, int]:
    """Name and pid of each process that was started here and still lives. A reused pid is told apart by its start."""
    living = {}
    for path in sorted(layout.run.glob("*.pid")):
        if path.name == "supervisord.pid":
            continue
        try:
            mark = json.loads(path.read_text())
            process = psutil.Process(mark["pid"])
            if abs(process.create_time() - mark["started"]) < 1 and process.status() != psutil.STATUS_ZOMBIE:
                living[path.stem] = int(mark["pid"])
        except (ValueError, KeyError, psutil.NoSuchProcess):
            continue
    return living


def orphans(layout: Layout, supervised: set[int]) -> list[Orphan]:
    """The living ones whose pid the Supervisor does not know."""
    return [Orphan(name, pid) for name, pid in recorded(layout).items() if pid not in supervised]


def stop(found: list[Orphan], timeout: float = 15.0) -> None:
    """Terminate, then kill what is left, with everything they started."""
    family: list[psutil.Process] = []
    for orphan in found:
        try:
            process = psutil.Process(orphan.pid)
            family += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    for process in family:
        _ignore_gone(process.terminate)
    _gone, alive = psutil.wait_procs(family, timeout=timeout)
    for process in alive:
        _ignore_gone(process.kill)
    psutil.wait_procs(alive, timeout=5)


def _ignore_gone(action: object) -> None:
    try:
        action()  # type: ignore[operator]
    except psutil.NoSuchProcess:
        return

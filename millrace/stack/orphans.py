"""Find and end processes that outlived a killed Supervisor, by their pid files.

`millrace.stack.run` writes those.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psutil

from config.errors import UserError
from millrace.stack.layout import Layout

POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Orphan:
    """A process of this stack that nobody supervises."""

    name: str
    pid: int


def recorded(layout: Layout) -> dict[str, int]:
    """Name and pid of each process that was started here and still lives.

    A reused pid is told apart by its start.
    """
    living = {}
    for path in sorted(layout.run.glob("*.pid")):
        if path.name == "supervisord.pid":
            continue
        try:
            mark = json.loads(path.read_text())
            process = psutil.Process(mark["pid"])
            if abs(process.create_time() - mark["started"]) < 1 and alive(process):
                living[path.stem] = int(mark["pid"])
        except (ValueError, KeyError, psutil.NoSuchProcess):
            continue
    return living


def orphans(layout: Layout, supervised: set[int]) -> list[Orphan]:
    """The living ones whose pid the Supervisor does not know."""
    return [Orphan(name, pid) for name, pid in recorded(layout).items() if pid not in supervised]


def stop(found: list[Orphan], timeout: float = 15.0) -> None:
    """Terminate, then kill what is left after `timeout` seconds, with everything they started.

    Raises `UserError` when they are another user's.
    """
    family: list[psutil.Process] = []
    for orphan in found:
        try:
            process = psutil.Process(orphan.pid)
            family += [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    for process in family:
        _signal(process, process.terminate)
    left = wait_gone(family, timeout)
    for process in left:
        _signal(process, process.kill)
    wait_gone(left, 5)


def _signal(process: psutil.Process, send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise UserError(
            f"process {process.pid} of this stack belongs to {process.username()}: "
            "another user's stack runs in this state folder. "
            "Stop it as that user, or choose another folder by MILLRACE_STATE_DIR"
        ) from None


def alive(process: psutil.Process) -> bool:
    """Tell whether it still runs: a pid that was given to another process is not it.

    Nor does a zombie: where a container's first process reaps none, it stays one for ever.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_gone(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait at most `timeout` seconds for all to end; those that still live."""
    deadline = time.monotonic() + timeout
    left = [process for process in processes if alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(POLL_S)
        left = [process for process in left if alive(process)]
    return left

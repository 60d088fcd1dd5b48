"""Find and end processes that outlived a killed Supervisor, by their pid files.

`millrace.stack.run` writes those files.
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
    """A process of this stack that nothing supervises."""

    name: str
    pid: int


def recorded(layout: Layout) -> dict[str, int]:
    """Return name and pid of each process that was started here and still lives.

    A reused pid is recognised by its start time.
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
    """Return the living processes whose pid the Supervisor does not know."""
    return [Orphan(name, pid) for name, pid in recorded(layout).items() if pid not in supervised]


def stop(found: list[Orphan], timeout: float = 15.0) -> None:
    """Terminate, then kill those left after `timeout` seconds, with all their descendants.

    Raise UserError if they belong to another user.
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
    """Return whether it still runs; a pid that was given to another process does not count.

    Nor does a zombie: if a container's first process does not reap, it stays one for ever.
    """
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_gone(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait at most `timeout` seconds for all to end; return those that still live."""
    deadline = time.monotonic() + timeout
    left = [process for process in processes if alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(POLL_S)
        left = [process for process in left if alive(process)]
    return left

"""Whether a process lives.

A zombie does not: where a container's first process reaps none, it stays one for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

POLL_S = 0.05


def alive(process: psutil.Process) -> bool:
    """Whether it still runs; a pid that was given to another process is not it."""
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

"""Report the progress of a long command: bars on a terminal, log lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

log = structlog.get_logger(__name__)

EVERY_S = 3.0

Report = Callable[[int], None]
"""Takes how much of a stage is done."""
Stages = Callable[[str, int | None], Report]
"""Begins a stage, given its name and its size (None if unknown)."""


@contextmanager
def stages(what: str) -> Iterator[Stages]:
    """Report the stages of `what` on standard error; standard output is for the result."""
    if not sys.stderr.isatty():
        yield logged(what)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def begin(name: str, total: int | None) -> Report:
            task = progress.add_task(name, total=total)
            return lambda done: progress.update(task, completed=done)

        yield begin


def logged(what: str, clock: Callable[[], float] = time.monotonic) -> Stages:
    """Return stages that log their first report, and then at most one every `EVERY_S` seconds."""

    def begin(name: str, total: int | None) -> Report:
        known = {} if total is None else {"total": total}
        due = -math.inf

        def report(done: int) -> None:
            nonlocal due
            if (now := clock()) >= due or done == total:
                due = now + EVERY_S
                log.info(what, stage=name, done=done, **known)

        return report

    return begin

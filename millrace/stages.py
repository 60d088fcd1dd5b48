"""How far a long command is: bars on a terminal, a line of the log every few seconds elsewhere."""

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
"""Is told how much of a stage is done."""
Stages = Callable[[str, int | None], Report]
"""Begins a stage, by its name and how much there is to do (None: nobody knows)."""


@contextmanager
def stages(what: str) -> Iterator[Stages]:
    """Report the stages of `what` on standard error, so that standard output stays the result's."""
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
    """Return stages that write a line at their first report, at most every `EVERY_S` after it."""

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

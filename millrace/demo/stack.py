"""Keep the stack up while a demo runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from config.settings import Settings
from millrace.demo.saying import unfailing
from millrace.demo.signals import undisturbed
from millrace.stack import lifecycle
from millrace.stack.layout import Layout
from millrace.stack.supervisor import Supervisor


@contextmanager
def running(
    settings: Settings,
    say: lifecycle.Say,
    start: Callable[[], None],
    finish: Callable[[], None] = lambda: None,
    *,
    keep: bool,
) -> Iterator[None]:
    """Start the stack; afterwards finish, and stop it unless it is kept or ran before."""
    was_running = any(info.pid for info in Supervisor(Layout.of(settings)).info().values())
    complete = False
    try:
        start()
        yield
        complete = True
    finally:
        tell = unfailing(say)
        with undisturbed(lambda: tell("finishing, a moment")):
            finish()
            if was_running:
                tell("the stack was up before and stays up")
            elif not (keep and complete):
                tell("taking the stack down")
                lifecycle.down(settings, tell)

"""Handle the signals that end the demo, and keep them from disturbing its clean-up."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C, `kill`, and a closed terminal.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Handler = Callable[[int, FrameType | None], None]


def interruptible() -> None:
    """Make each signal raise `KeyboardInterrupt` from now on, so that all clean up alike."""
    _handle(_interrupt)


@contextmanager
def undisturbed(answer: Callable[[], None]) -> Iterator[None]:
    """Keep signals from ending the body; call `answer` at the first one."""
    answered = False

    def wait(_signal: int, _frame: FrameType | None) -> None:
        nonlocal answered
        if not answered:
            answered = True
            answer()

    before = {one: signal.getsignal(one) for one in ENDING}
    _handle(wait)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _handle(handler: Handler) -> None:
    for one in ENDING:
        # Under `nohup` or in a shell's background it is ignored, and must stay so.
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt

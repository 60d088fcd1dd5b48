"""Say what the demo does, on its console."""

from __future__ import annotations

from contextlib import suppress

from rich.console import Console

from millrace.stack import lifecycle


def sayer(console: Console) -> lifecycle.Say:
    """Return what prints a line."""

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    return say


def unfailing(say: lifecycle.Say) -> lifecycle.Say:
    """Keep a closed terminal or a signal amid a line from preventing the stack's shutdown."""

    def tell(text: str) -> None:
        with suppress(OSError, RuntimeError, SystemExit):
            say(text)

    return tell

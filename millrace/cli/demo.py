"""`millrace demo`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from config.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: millrace demo --seconds 20 --rate 200 --keep")(demo)


def demo(
    seconds: Annotated[float, typer.Option(min=1, help="how long to stream")] = 60,
    rate: Annotated[float, typer.Option(min=1, help="payments a second")] = 500,
    keep: Annotated[bool, typer.Option("--keep", help="leave the stack up afterwards")] = False,
) -> None:
    """From nothing to scored transactions.

    Start the stack, train, stream simulated payments, show what happens.
    """
    from millrace.demo.show import demo as run
    from millrace.demo.signals import interruptible

    interruptible()
    try:
        run(settings(), Console(), seconds, rate, keep=keep)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None

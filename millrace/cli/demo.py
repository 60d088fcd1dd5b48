"""Run the demo: `millrace demo`."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from config.products import with_groups
from config.settings import PREFIX, settings
from millrace.options import AsJson

GROUPS = ("core", "fraud")  # what it shows, whatever MILLRACE_GROUPS says
COMMIT_SECONDS = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: millrace demo --seconds 20 --rate 200 --keep --picture page.png")(
        demo
    )
    example = "Example: millrace demo-sensors --seconds 20 --rate 200 --keep"
    app.command(name="demo-sensors", epilog=example)(demo_sensors)


def demo(
    seconds: Annotated[float, typer.Option(min=1, help="how long to stream")] = 60,
    rate: Annotated[float, typer.Option(min=1, help="payments a second")] = 500,
    keep: Annotated[bool, typer.Option("--keep", help="leave the stack up afterwards")] = False,
    picture: Annotated[
        Path | None,
        typer.Option(help="save the live page as a PNG at the end; needs Chromium"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the stack, train a first model, stream payments and show their scores.

    With --json, print the figures at the end.
    """
    from millrace.demo.show import demo as run
    from millrace.demo.signals import interruptible

    interruptible()
    suit_minutes(keep=keep)
    try:
        # Standard output stays the result's.
        figures = run(
            with_groups(settings(), GROUPS),
            Console(stderr=as_json),
            seconds,
            rate,
            keep=keep,
            picture=picture,
        )
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if as_json:
        found = asdict(figures)
        del found["latest"]
        typer.echo(json.dumps(found, indent=2))


def demo_sensors(
    seconds: Annotated[float, typer.Option(min=1, help="how long to stream")] = 60,
    rate: Annotated[float, typer.Option(min=1, help="readings a second")] = 400,
    keep: Annotated[bool, typer.Option("--keep", help="leave the stack up afterwards")] = False,
    as_json: AsJson = False,
) -> None:
    """Start core and sensors, simulate readings, and show what is rejected, found and told of.

    With --json, print the figures at the end.
    """
    from millrace.demo.sensors import demo as run
    from millrace.demo.signals import interruptible

    interruptible()
    suit_minutes(keep=keep)
    try:
        seen = run(settings(), Console(stderr=as_json), seconds, rate, keep=keep)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(seen.as_dict(), indent=2))


def suit_minutes(*, keep: bool) -> None:
    """Let the lake's job, if its group is on, commit more than once, and spare what pays off later.

    That is the second compiler, unless the stack is to be kept. What somebody has set stays.
    """
    suited = {"lake_commit_seconds": str(COMMIT_SECONDS)}
    if not keep:
        suited["jvm_second_compiler"] = "false"
    for name in suited.keys() - settings().model_fields_set:
        # By the environment, which the stack's processes get.
        os.environ[f"{PREFIX}{name.upper()}"] = suited[name]
    settings.cache_clear()

"""Define the commands of `millrace lake` that look after its tables."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from config.settings import settings
from millrace.options import AsJson
from millrace.stages import stages

if TYPE_CHECKING:
    from lakehouse.upkeep.run import Plan

_MIB = 1024 * 1024
Names = Annotated[list[str] | None, typer.Argument(help="bronze.transactions …; all if none")]
Keep = Annotated[int, typer.Option(min=0, help="hours for which snapshots are kept")]
Age = Annotated[int, typer.Option(min=1, help="hours after which an unused file is an orphan")]


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command(epilog="Example: millrace lake upkeep --json")(upkeep)
    app.command(epilog="Example: millrace lake compact bronze.transactions")(compact)
    app.command(epilog="Example: millrace lake expire --keep-hours 24")(expire)
    app.command(epilog="Example: millrace lake orphans --age-hours 48")(orphans)


def upkeep(
    names: Names = None, *, keep_hours: Keep = 168, age_hours: Age = 24, as_json: AsJson = False
) -> None:
    """Compact, expire and remove orphans, safe beside whatever writes meanwhile."""
    from lakehouse.upkeep.run import Plan

    keep, age = timedelta(hours=keep_hours), timedelta(hours=age_hours)
    _run(names, Plan(keep=keep, age=age), as_json=as_json)


def compact(names: Names = None, *, as_json: AsJson = False) -> None:
    """Write small files of a day anew as few large ones."""
    from lakehouse.upkeep.run import Plan

    _run(names, Plan(keep=None, age=None), as_json=as_json)


def expire(names: Names = None, *, keep_hours: Keep = 168, as_json: AsJson = False) -> None:
    """Expire old snapshots, but none that a Flink job may ask for."""
    from lakehouse.upkeep.run import Plan

    _run(names, Plan(limits=None, keep=timedelta(hours=keep_hours), age=None), as_json=as_json)


def orphans(names: Names = None, *, age_hours: Age = 24, as_json: AsJson = False) -> None:
    """Remove files that no snapshot has and no writer can still bring in."""
    from lakehouse.upkeep.run import Plan

    _run(names, Plan(limits=None, keep=None, age=timedelta(hours=age_hours)), as_json=as_json)


def _run(names: list[str] | None, plan: Plan, *, as_json: bool) -> None:
    from lakehouse.catalog import catalog
    from lakehouse.upkeep.run import upkeep as run

    done = []
    with stages("upkeep") as stage:
        report = stage("tables", None)
        for kept in run(catalog(settings()), names or [], plan, datetime.now(UTC)):
            done.append(kept)
            report(len(done))
    if as_json:
        typer.echo(json.dumps([one.as_dict() for one in done]))
        return
    table = Table("table", "files", "MiB", "snapshots expired", "orphans removed", "MiB")
    for one in done:
        made = one.compacted
        table.add_row(
            one.table,
            f"{made.files_before:,} to {made.files_after:,}" if made.groups else "-",
            f"{made.bytes_before / _MIB:,.1f} to {made.bytes_after / _MIB:,.1f}",
            f"{one.expired:,}",
            f"{one.orphans:,}",
            f"{one.orphan_bytes / _MIB:,.1f}",
        )
    Console().print(table)

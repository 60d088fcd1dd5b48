"""Keep and examine the lake's tables: `millrace lake`."""

from __future__ import annotations

import json
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from config.lake import lake_tables
from config.settings import settings
from config.topics import topics
from millrace import checks, upkeep
from millrace.options import AsJson

app = typer.Typer(
    help="The lake's tables: apply, list, check; upkeep and checks of quality.",
    no_args_is_help=True,
)
upkeep.register(app)
checks.register(app)


@app.command(epilog="Example: millrace lake apply --json")
def apply(as_json: AsJson = False) -> None:
    """Create the tables of the topics that join the lake, and add what their records have gained.

    A second run changes nothing. The job writes to new tables and columns once it was submitted
    again.
    """
    from lakehouse.catalog import catalog
    from lakehouse.tables import apply as applied

    changes = applied(catalog(settings()), lake_tables(topics().values()))
    if as_json:
        typer.echo(json.dumps([change.as_dict() for change in changes]))
        return
    for change in changes:
        typer.echo(f"{change.table}: {change.what}")
    if not changes:
        typer.echo("nothing to change")


@app.command("list", epilog="Example: millrace lake list --json")
def list_tables(as_json: AsJson = False) -> None:
    """List every table of the lake with its rows, files and snapshots."""
    from lakehouse.catalog import catalog
    from lakehouse.listing import listing

    found = listing(catalog(settings()))
    if as_json:
        typer.echo(json.dumps([one.as_dict() for one in found], indent=2))
        return
    table = Table("table", "rows", "files", "MiB", "snapshots", "newest")
    for one in found:
        sizes = (f"{one.rows:,}", f"{one.files:,}", f"{one.bytes / 2**20:,.1f}")
        table.add_row(one.table, *sizes, f"{one.snapshots:,}", one.newest or "-")
    Console().print(table)


@app.command(epilog="Example: millrace lake check --json")
def check(as_json: AsJson = False) -> None:
    """Prove by partition and offset that the lake has each record of its topics, once.

    Exit code 1 if one is missing or doubled.
    """
    from ingestion.wire.codec import Codec
    from ingestion.wire.registry import Registry
    from lakehouse.catalog import catalog
    from lakehouse.check import Checker

    with Registry(settings().registry_url) as registry:
        found = list(Checker(settings(), catalog(settings()), Codec(registry)).check())
    if as_json:
        typer.echo(json.dumps([one.as_dict() for one in found], indent=2))
    else:
        table = Table("topic", "rows", "doubled", "missing", "gone", "set aside", "waiting")
        for one in found:
            cells: list[Any] = [f"{one.topic}/{one.partition}", one.rows, one.doubled]
            cells += [_told(one.missing), _told(one.gone), one.aside, one.waiting]
            table.add_row(*map(str, cells))
        Console().print(table)
    if not all(one.complete for one in found):
        raise typer.Exit(1)


def _told(spans: list[tuple[int, int]]) -> str:
    if not spans:
        return "0"
    count = sum(last - first + 1 for first, last in spans)
    shown = ", ".join(f"{first}-{last}" for first, last in spans[:3])
    return f"{count} ({shown}{', …' if len(spans) > 3 else ''})"

"""Show what dashboards there are, and whether they have something to show."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from config.products import groups
from config.settings import settings
from millrace.options import AsJson
from millrace.prometheus import Prometheus
from monitoring.dashboards import dashboards
from monitoring.dashboards.check import bare, findings

app = typer.Typer(help="Grafana's dashboards: list, check.", no_args_is_help=True)


@app.command("list", epilog="Example: millrace dashboards list")
def show(as_json: AsJson = False) -> None:
    """List the dashboards with their panels."""
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in dashboards()], indent=2))
        return
    table = Table("dashboard", "group", "rows", "panels")
    for one in dashboards():
        table.add_row(one.name, one.needs, ", ".join(one.rows), str(len(list(one.panels))))
    Console().print(table)


@app.command(epilog="Example: millrace dashboards check --json")
def check(
    strict: Annotated[
        bool, typer.Option("--strict", help="no panel may be empty, whatever it says")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask Prometheus what every panel of the enabled groups asks.

    Exit with 1 if one has nothing to show and does not say why that may be.
    """
    loaded = settings()
    found = list(findings(dashboards(groups(loaded)), Prometheus(loaded).values))
    wrong = bare(found) if strict else [one for one in found if one.wrong]
    if as_json:
        typer.echo(json.dumps([asdict(one) | {"wrong": one in wrong} for one in found], indent=2))
    else:
        table = Table("dashboard", "panel", "series", "")
        for one in found:
            told = "empty" if one in wrong else "" if one.series else f"may be: {one.excuse}"
            table.add_row(one.dashboard, one.panel, str(one.series), told)
        Console().print(table)
    raise typer.Exit(1 if wrong else 0)

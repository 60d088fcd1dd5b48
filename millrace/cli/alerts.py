"""Show alerts, from the topic that all products tell them on: `millrace alerts`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.errors import UserError
from config.settings import settings
from domain.alerts.episodes import STATES, document
from ingestion.kafka.tail import BEGINNING, Start, Tail, reader
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.options import AsJson

TOPIC = "alerts"
CHOICES = ("open", "cleared", "all")
STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}

app = typer.Typer(help="Alerts of all products: list, show, tail.", no_args_is_help=True)


def _read(start: str, *, follow: bool) -> Iterable[dict[str, Any]]:
    """Yield the records of the topic as documents; what cannot be read is left out."""
    consumer = reader(settings().kafka_bootstrap)
    try:
        with Registry(settings().registry_url) as registry:
            tail = Tail(consumer, Codec(registry), TOPIC, Start.parse(start))
            for line in tail.lines(follow=follow):
                if line.record is not None:
                    yield document(line.record)
    finally:
        consumer.close()


def newest(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each alert as it stands, those told of last first."""
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        known = found.get(record["alert_id"])
        version = (record["event_time"], STATES.index(record["state"]))
        if known is None or version >= (known["event_time"], STATES.index(known["state"])):
            found[record["alert_id"]] = record
    return sorted(
        found.values(), key=lambda one: (one["event_time"], one["alert_id"]), reverse=True
    )


@app.command(name="list", epilog="Example: millrace alerts list --state open --json")
def list_alerts(
    state: Annotated[str, typer.Option(help="open, cleared or all")] = "open",
    severity: Annotated[str, typer.Option(help="only this one: info, warning, critical")] = "",
    limit: Annotated[int, typer.Option(min=0, help="show the newest so many; 0: all")] = 50,
    since: Annotated[
        str, typer.Option("--from", help="from this time on, such as 2026-01-31T12:00")
    ] = BEGINNING,
    as_json: AsJson = False,
) -> None:
    """List alerts as they stand, those told of last first."""
    if state not in CHOICES:
        raise UserError(f"--state is {', '.join(CHOICES)}, not {state!r}")
    if severity and severity not in STYLES:
        raise UserError(f"--severity is {', '.join(STYLES)}, not {severity!r}")
    every = newest(_read(since, follow=False))
    found = [
        one
        for one in every
        if (state == "all" or (one["state"] == "cleared") == (state == "cleared"))
        and severity in ("", one["severity"])
    ]
    shown = found[:limit] if limit else found
    if as_json:
        typer.echo(json.dumps({"alerts": shown, "found": len(found)}))
        return
    if shown:
        table = Table("severity", "state", "told of", "entity", "what", "message")
        for one in shown:
            style = STYLES[one["severity"]] if one["state"] != "cleared" else ""
            facts = (one["severity"], one["state"], one["event_time"], one["entity"], one["kind"])
            table.add_row(*(Text(fact, style) for fact in facts), one["message"])
        Console(markup=False).print(table)
    typer.echo(f"{len(found)} of {len(every)} alerts" + ("" if state == "all" else f" are {state}"))


@app.command(epilog="Example: millrace alerts show boiler-7/1764486000000")
def show(
    alert_id: Annotated[str, typer.Argument(help="as `list --json` prints it")],
    as_json: AsJson = False,
) -> None:
    """Show one alert: all that was told of it, in order."""
    told = [one for one in _read(BEGINNING, follow=False) if one["alert_id"] == alert_id]
    if not told:
        raise UserError(f"no alert {alert_id}: `millrace alerts list --state all` lists them")
    if as_json:
        typer.echo(json.dumps({"alert": newest(told)[0], "told": told}))
        return
    for name, fact in newest(told)[0].items():
        typer.echo(f"{name:12} {json.dumps(fact) if isinstance(fact, dict) else fact}")
    for one in told:
        typer.echo(f"  {one['event_time']} {one['state']:10} {one['severity']:8} {one['message']}")


@app.command(epilog="Example: millrace alerts tail --from beginning")
def tail(
    start: Annotated[
        str, typer.Option("--from", help="beginning, end, or a time such as 2026-01-31T12:00")
    ] = "end",
    as_json: AsJson = False,
) -> None:
    """Print alerts as they are told, until stopped."""
    console = Console(markup=False)
    try:
        for one in _read(start, follow=True):
            if as_json:
                typer.echo(json.dumps(one))
            else:
                console.print(Text(_line(one), STYLES[one["severity"]]))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _line(one: dict[str, Any]) -> str:
    return f"{one['event_time']} {one['severity']:8} {one['state']:10} {one['message']}"

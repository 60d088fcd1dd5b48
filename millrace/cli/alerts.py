"""Show alerts of all products, and say what was done about them: `millrace alerts`."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.clock import now_ms
from config.errors import UserError
from config.settings import settings
from domain.alerts.acts import Acts, acknowledgement, silence
from domain.alerts.episodes import STATES, document
from domain.times import iso, milliseconds
from ingestion.kafka.tail import BEGINNING, Start, Tail, reader
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace import apart, streaming
from millrace.options import AsJson

TOPIC, ACTS = "alerts", "alert-acts"
_TRIAL, _TRIAL_S = "serving.alerts.trial", 60
CHOICES = ("open", "cleared", "all")
STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}

app = typer.Typer(
    help="Alerts of all products: list, show, tail, acknowledge, silence, test.",
    no_args_is_help=True,
)


By = Annotated[str, typer.Option(help="who does it; default: the user")]
Note = Annotated[str, typer.Option(help="why, in words")]


def _read(start: str, *, follow: bool) -> Iterable[dict[str, Any]]:
    """Yield the alerts told as documents."""
    return map(document, _records(TOPIC, start, follow=follow))


def _records(topic: str, start: str, *, follow: bool) -> Iterable[dict[str, Any]]:
    """Yield the records of a topic; what cannot be read is left out."""
    consumer = reader(settings().kafka_bootstrap)
    try:
        with Registry(settings().registry_url) as registry:
            tail = Tail(consumer, Codec(registry), topic, Start.parse(start))
            for line in tail.lines(follow=follow):
                if line.record is not None:
                    yield line.record
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


def _with_acts(alerts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return alerts with who has seen them, and until when they are silenced."""
    acts, now = Acts(), now_ms()
    for place, act in enumerate(_records(ACTS, BEGINNING, follow=False)):
        acts.take(act, place)
    return [{**one, **acts.about(one, now)} for one in alerts]


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
    shown = _with_acts(found[:limit] if limit else found)
    if as_json:
        typer.echo(json.dumps({"alerts": shown, "found": len(found)}))
        return
    if shown:
        table = Table("severity", "state", "told of", "entity", "what", "message", "seen by")
        for one in shown:
            style = STYLES[one["severity"]] if one["state"] != "cleared" else ""
            facts = (one["severity"], one["state"], one["event_time"], one["entity"], one["kind"])
            table.add_row(*(Text(fact, style) for fact in facts), one["message"], _done(one))
        Console(markup=False).print(table)
    typer.echo(f"{len(found)} of {len(every)} alerts" + ("" if state == "all" else f" are {state}"))


def _done(one: dict[str, Any]) -> str:
    """Return what people did about an alert, for its row."""
    seen = (one["acknowledged"]["by"] or "somebody") if one["acknowledged"] else ""
    silent = f"silenced until {one['silenced_until']}" if one["silenced_until"] else ""
    return ", ".join(filter(None, (seen, silent)))


@app.command(epilog="Example: millrace alerts show boiler-7/1764486000000")
def show(
    alert_id: Annotated[str, typer.Argument(help="as `list --json` prints it")],
    as_json: AsJson = False,
) -> None:
    """Show one alert: all that was told of it, in order."""
    told = [one for one in _read(BEGINNING, follow=False) if one["alert_id"] == alert_id]
    if not told:
        raise UserError(f"no alert {alert_id}: `millrace alerts list --state all` lists them")
    (alert,) = _with_acts(newest(told))
    if as_json:
        typer.echo(json.dumps({"alert": alert, "told": told}))
        return
    for name, fact in alert.items():
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


@app.command(epilog="Example: millrace alerts ack boiler-7/1764486000000 --note 'on my way'")
def ack(
    alert_id: Annotated[str, typer.Argument(help="as `list --json` prints it")],
    *,
    by: By = "",
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Say that somebody has seen an alert: reminders of it are no longer sent."""
    if not any(one["alert_id"] == alert_id for one in _read(BEGINNING, follow=False)):
        raise UserError(f"no alert {alert_id}: `millrace alerts list --state all` lists them")
    _do(acknowledgement(alert_id, now=now_ms(), by=by or _user(), note=note), as_json=as_json)


@app.command(name="silence", epilog="Example: millrace alerts silence --entity boiler-7 --for 2h")
def silence_(
    *,
    entity: Annotated[str, typer.Option(help="whose alerts; any without")] = "",
    kind: Annotated[str, typer.Option(help="which kind, such as HIGH_TEMP; any without")] = "",
    for_: Annotated[
        str, typer.Option("--for", help="how long, such as 30m, 2h, 7d; 0s lifts it")
    ] = "",
    until: Annotated[str, typer.Option(help="or until when, such as 2026-01-31T12:00")] = "",
    by: By = "",
    note: Note = "",
    as_json: AsJson = False,
) -> None:
    """Send no alerts of an entity, of a kind, or of both, for a while; they are still listed."""
    if bool(for_) == bool(until):
        raise UserError("say either --for or --until")
    now = now_ms()
    try:
        end = now + streaming.duration_ms(for_) if for_ else milliseconds(until)
        act = silence(entity, kind, now=now, until=end, by=by or _user(), note=note)
    except ValueError as error:
        raise UserError(str(error)) from None
    _do(act, as_json=as_json)


@app.command(name="test", epilog="Example: millrace alerts test")
def try_(as_json: AsJson = False) -> None:
    """Send an alert that is none, and that it has cleared, by every channel that is set up.

    Exit with 1 if one does not take it.
    """
    outcomes: dict[str, str] = apart.answer("the channels", _TRIAL, within_s=_TRIAL_S)
    if as_json:
        typer.echo(json.dumps(outcomes))
    else:
        for channel, became in outcomes.items():
            typer.echo(f"{channel}: {became}")
    if any(became != "sent" for became in outcomes.values()):
        raise typer.Exit(1)


def _do(act: dict[str, Any], *, as_json: bool) -> None:
    """Produce an act and say so."""
    with streaming.kafka("millrace-alerts", paced=True) as (sink, codec):
        sink.send(ACTS, act["subject"], codec.encode(ACTS, act))
    if as_json:
        typer.echo(json.dumps(act))
    elif act["act"] == "ack":
        typer.echo(f"{act['alert_id']} is acknowledged by {act['by'] or 'somebody'}")
    else:
        what = " ".join(filter(None, (act["entity"], act["kind"])))
        lifted = act["until"] <= act["event_time"]
        typer.echo(
            f"{what}: heard again" if lifted else f"{what}: silent until {iso(act['until'])}"
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""

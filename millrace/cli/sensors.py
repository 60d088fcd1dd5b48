"""Say what is known of sensors and locations: `millrace sensors`.

Files of it go through `millrace replay sensor-metadata`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from config.clock import now_ms
from config.errors import UserError
from domain.times import nearest
from ingestion.sensors.tables import METADATA, RESERVED, version
from ingestion.wire.encode import RefusedError
from millrace import streaming
from millrace.options import AsJson, logical

app = typer.Typer(help="Sensors: say what is known of them and of locations.", no_args_is_help=True)

From = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="since when, ISO 8601; default: now")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=TEXT", help="whatever else is known; several times"),
]


@app.command(epilog="Example: millrace sensors describe boiler-7 --where hall-2 --set maker=Acme")
def describe(
    sensor: Annotated[str, typer.Argument(help="the sensor, as in its readings")],
    *,
    location: Annotated[str | None, typer.Option("--where", help="the location it is at")] = None,
    attributes: Set = None,
    since: From = None,
    as_json: AsJson = False,
) -> None:
    """Say what is known of a sensor from a time on. It replaces all that was said before."""
    _send("sensor", sensor, {"location": location}, attributes, since, as_json=as_json)


@app.command(epilog="Example: millrace sensors locate hall-2 --place munich --set floor=3")
def locate(
    location: Annotated[str, typer.Argument(help="the location, as in readings")],
    *,
    place: Annotated[
        str | None, typer.Option(help="whose outside series holds there; default: its own name")
    ] = None,
    latitude: Annotated[float | None, typer.Option(help="degrees north")] = None,
    longitude: Annotated[float | None, typer.Option(help="degrees east")] = None,
    attributes: Set = None,
    since: From = None,
    as_json: AsJson = False,
) -> None:
    """Say what is known of a location from a time on. It replaces all that was said before."""
    said = {"place": place, "latitude": latitude, "longitude": longitude}
    _send("location", location, said, attributes, since, as_json=as_json)


def _send(
    scope: str,
    name: str,
    said: dict[str, Any],
    attributes: list[str] | None,
    since: str | None,
    *,
    as_json: bool,
) -> None:
    valid_from = now_ms() if since is None else nearest(logical(since, "--from"))
    with streaming.kafka("millrace-sensors", paced=True) as (sink, codec):
        try:
            record = version(scope, name, valid_from, {**_pairs(attributes or ()), **said})
            value = codec.encode(METADATA, record)
        except (RefusedError, ValueError) as error:
            raise UserError(str(error)) from None
        sink.send(METADATA, record["version_id"], value)
    typer.echo(json.dumps(record) if as_json else f"{scope} {name}: {record['version_id']}")


def _pairs(said: Iterable[str]) -> dict[str, str]:
    """Return what --set says. Raise UserError for what is no pair."""
    pairs = dict(one.partition("=")[::2] for one in said)
    if not all(pairs) or not all(pairs.values()):
        raise UserError("--set takes NAME=TEXT")
    if reserved := sorted(pairs.keys() & RESERVED):
        raise UserError(f"--set {reserved[0]}: that is a field, with an option of its own")
    return pairs

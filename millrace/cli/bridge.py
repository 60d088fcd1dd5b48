"""Carry what others send into Kafka: `millrace bridge`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from config.clock import now_ms
from config.settings import settings
from ingestion.sensors.files import TOPIC
from ingestion.sensors.mqtt import Bridge, Tally, subscribed
from millrace import streaming
from millrace.options import AsJson

app = typer.Typer(help="Carry readings from elsewhere into Kafka.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `mqtt` a command of a group while it is the only one."""


@app.command(epilog="Example: millrace bridge mqtt --topics 'sensors/#'")
def mqtt(
    *,
    broker: Annotated[
        str, typer.Option(help="mqtt://HOST:PORT; without it MILLRACE_MQTT_URL counts")
    ] = "",
    topics: Annotated[str, typer.Option(help="which MQTT topics")] = "sensors/#",
    client_id: Annotated[
        str, typer.Option(help="by which the broker knows this bridge again")
    ] = "millrace-bridge",
    messages: Annotated[int | None, typer.Option(min=1, help="stop after so many")] = None,
    as_json: AsJson = False,
) -> None:
    """Carry readings from an MQTT broker into `sensor-readings`, at least once, until stopped.

    A message is a JSON object with a reading's fields, or a list of them; the sensor's name may be
    the last part of the topic instead.
    """
    url = broker or settings().mqtt_url.get_secret_value()
    with streaming.kafka("millrace-mqtt", paced=True) as (sink, codec):
        bridge = Bridge(sink, codec.encoder(TOPIC))
        stopped = False
        with subscribed(url, topics, client_id, bridge, now_ms):
            try:
                while messages is None or bridge.tally.messages < messages:
                    bridge.carry(0.5)
            except KeyboardInterrupt:
                stopped = True
    _tell(bridge.tally, as_json=as_json)
    if stopped:
        raise typer.Exit(streaming.INTERRUPTED)


def _tell(tally: Tally, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(tally)))
        return
    typer.echo(
        f"{tally.messages:,} messages: {tally.readings:,} readings, {tally.unreadable:,} unreadable"
    )

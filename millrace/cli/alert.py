"""Tell people of something, on the topic `alerts`: `millrace alert`."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from config.errors import UserError
from domain.times import nearest
from millrace import streaming
from millrace.options import logical

TOPIC = "alerts"

app = typer.Typer(help="Alerts: tell people of something.", no_args_is_help=True)


class Severity(StrEnum):
    """How urgent it is."""

    info = "info"
    warning = "warning"
    critical = "critical"


@app.callback()
def _group() -> None:
    """Keep `raise` a command of a group while it is the only one."""


@app.command(
    "raise",
    epilog="Example: millrace alert raise retrain_fraud --kind dag-failed --message 'It failed'",
)
def raise_(
    entity: Annotated[str, typer.Argument(help="what the alert is about")],
    *,
    kind: Annotated[str, typer.Option(help="what kind of alert")],
    message: Annotated[str, typer.Option(help="one sentence for a person")],
    severity: Annotated[Severity, typer.Option(help="how urgent")] = Severity.warning,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="of the cause, ISO 8601; default: now")
    ] = None,
    detail: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="a fact; may be repeated")
    ] = None,
) -> None:
    """Produce an alert. The same entity, kind and time are the same alert again."""
    moment = _milliseconds(at)
    cause = json.dumps([entity, kind, moment]).encode()
    record = {
        "alert_id": hashlib.sha256(cause).hexdigest()[:32],
        "entity": entity,
        "event_time": moment,
        "kind": kind,
        "severity": severity.value,
        "message": message,
        "details": dict(_fact(one) for one in detail or ()),
    }
    with streaming.kafka("millrace-alert", paced=True) as (sink, codec):
        sink.send(TOPIC, entity, codec.encode(TOPIC, record))
    typer.echo(json.dumps({"alert_id": record["alert_id"], "topic": TOPIC}))


def _milliseconds(at: str | None) -> int:
    return nearest(datetime.now(UTC) if at is None else logical(at))


def _fact(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise UserError(f"--detail {text}: it is NAME=VALUE")
    return name, value

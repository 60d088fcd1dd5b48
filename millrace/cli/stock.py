"""Tell the inventory of deliveries, counts, corrections and terms: `millrace stock`."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any

import typer

from config.clock import now_ms
from config.errors import UserError
from domain.inventory.features import TERMS
from domain.times import nearest
from ingestion.wire.encode import RefusedError
from millrace import streaming
from millrace.options import AsJson, logical

TOPIC = "stock-movements"

app = typer.Typer(
    help="Stock: tell of deliveries, counts, corrections and terms.", no_args_is_help=True
)

Item = Annotated[str, typer.Argument(help="the item, as in events of the shop")]
At = Annotated[str | None, typer.Option(metavar="TIME", help="when, ISO 8601; default: now")]
Reason = Annotated[str, typer.Option(help="why, for a person")]
Name = Annotated[
    str | None,
    typer.Option("--id", help="names the movement: told again, it changes nothing"),
]


@app.command(epilog="Example: millrace stock deliver 461686 500")
def deliver(
    item: Item,
    units: Annotated[int, typer.Argument(min=1, help="units that came in")],
    *,
    at: At = None,
    reason: Reason = "",
    movement_id: Name = None,
    as_json: AsJson = False,
) -> None:
    """Tell that units came in. An item's first delivery opens its book."""
    said = {"kind": "delivery", "quantity": units, "reason": reason}
    _send(item, said, at, movement_id, as_json=as_json)


@app.command(epilog="Example: millrace stock count 461686 480 --reason 'shelf, Monday'")
def count(
    item: Item,
    units: Annotated[int, typer.Argument(min=0, help="units that lie there")],
    *,
    at: At = None,
    reason: Reason = "",
    movement_id: Name = None,
    as_json: AsJson = False,
) -> None:
    """Tell what was counted: it replaces the level."""
    said = {"kind": "count", "quantity": units, "reason": reason}
    _send(item, said, at, movement_id, as_json=as_json)


@app.command(epilog="Example: millrace stock correct 461686 --remove 3 --reason broken")
def correct(
    item: Item,
    *,
    add: Annotated[int, typer.Option(min=0, help="units that are there, too")] = 0,
    remove: Annotated[int, typer.Option(min=0, help="units that are not there")] = 0,
    at: At = None,
    reason: Reason = "",
    movement_id: Name = None,
    as_json: AsJson = False,
) -> None:
    """Tell that the level is off by so many units."""
    if bool(add) == bool(remove):
        raise UserError("give one of --add and --remove")
    said = {"kind": "correction", "quantity": add - remove, "reason": reason}
    _send(item, said, at, movement_id, as_json=as_json)


@app.command(epilog="Example: millrace stock terms 461686 --threshold 50 --lead-days 10")
def terms(
    item: Item,
    *,
    threshold: Annotated[float | None, typer.Option(help="an alert opens below it")] = None,
    lead_days: Annotated[float | None, typer.Option(help="from order to delivery")] = None,
    pack: Annotated[float | None, typer.Option(help="units ordered together only")] = None,
    price: Annotated[float | None, typer.Option(help="of a unit")] = None,
    price_least: Annotated[float | None, typer.Option(help="suggest no lower one")] = None,
    price_most: Annotated[float | None, typer.Option(help="suggest no higher one")] = None,
    at: At = None,
    reason: Reason = "",
    movement_id: Name = None,
    as_json: AsJson = False,
) -> None:
    """Set what is agreed for an item. A negative number takes a term back."""
    values = (threshold, lead_days, pack, price, price_least, price_most)
    given = {name: one for name, one in zip(TERMS, values, strict=True) if one is not None}
    if not given:
        raise UserError("no term was given: `millrace stock terms --help` names them")
    said = {"kind": "terms", "quantity": 0, "reason": reason, **given}
    _send(item, said, at, movement_id, as_json=as_json)


def _send(
    item: str, said: dict[str, Any], at: str | None, movement_id: str | None, *, as_json: bool
) -> None:
    record = {
        "movement_id": movement_id or uuid.uuid4().hex,
        "item_id": item,
        "event_time": now_ms() if at is None else nearest(logical(at)),
        **said,
    }
    with streaming.kafka("millrace-stock", paced=True) as (sink, codec):
        try:
            value = codec.encode(TOPIC, record)
        except RefusedError as error:
            raise UserError(str(error)) from None
        sink.send(TOPIC, item, value)
    kind = said["kind"]
    told = f"terms of {item}" if kind == "terms" else f"{kind} of {item}: {said['quantity']}"
    typer.echo(json.dumps(record) if as_json else f"{told} ({record['movement_id']})")

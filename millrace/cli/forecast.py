"""Forecast demand, and set uplifts on forecasts: `millrace forecast`."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from config.clock import now_ms
from config.errors import UserError
from config.settings import settings
from domain.inventory.forecasts import Uplift, Uplifts
from millrace import forecasting
from millrace.options import AsJson, logical
from millrace.stages import stages

if TYPE_CHECKING:
    from orchestration.inventory.forecasting import Forecasts
    from orchestration.inventory.sales import Sales

app = typer.Typer(help="Forecast demand.", no_args_is_help=True)
uplift = typer.Typer(
    help="Factors on forecasts, for what the past can't tell: a campaign, a Christmas.",
    no_args_is_help=True,
)
app.add_typer(uplift, name="uplift")

_FORM = ["%Y-%m-%d"]
Item = Annotated[str | None, typer.Option(help="an item's id")]
Category = Annotated[str | None, typer.Option(help="a category: all its items")]


@app.command(epilog="Example: millrace forecast inventory --data online_retail.xlsx --dry-run")
def inventory(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            help="a file in Online Retail's format instead of the lake", exists=True, dir_okay=False
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="logical date, ISO 8601: forecasts begin with its day; default: today, UTC, or "
            "with --data the day after the last",
        ),
    ] = None,
    method: Annotated[
        str, typer.Option(help="auto (lightgbm, with little history tsb), tsb, imapa, autotheta")
    ] = "auto",
    days: Annotated[int, typer.Option(min=42, help="of the lake's sales to read")] = 730,
    closed: Annotated[
        list[datetime] | None,
        typer.Option(formats=_FORM, help="a day announced as closed; give it several times"),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="computing at once")] = os.cpu_count() or 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="write nothing, tell the sums alone")
    ] = False,
    if_possible: Annotated[
        bool,
        typer.Option("--if-possible", help="with too few sales say so and end with code 0"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Forecast the units of each item over 7, 14 and 28 days, and write them to Kafka.

    Topic demand-forecasts, from where they come into Redis and the lake. The sums of items,
    categories and the whole are told beside one another, with what does not add up.
    """
    from orchestration.inventory.sales import TooLittleError

    announced = [one.date() for one in closed or ()]
    try:
        found = _forecast(data, at, days, announced, method=method, workers=workers)
    except TooLittleError as error:
        if not if_possible:
            raise
        typer.echo(json.dumps({"items": 0, "sent": 0, "reason": str(error)}))
        return
    sent = 0 if dry_run else forecasting.send(found.records)
    document = {**found.document, "sent": sent, "topic": forecasting.TOPIC}
    if as_json:
        typer.echo(json.dumps(document))
        return
    _show(document)


def _forecast(
    data: Path | None, at: str | None, days: int, closed: list[date], *, method: str, workers: int
) -> Forecasts:
    from orchestration.inventory.forecasting import Asked, forecast
    from orchestration.inventory.panel import Panels
    from orchestration.inventory.sales import number_of

    sales, categories, origin = _sales(data, at, days)
    panels = Panels(sales, [number_of(one) for one in closed])
    asked = Asked(origin, now_ms(), method, forecasting.uplifts(settings()), categories, workers)
    with stages("forecasting") as stage:
        return forecast(panels, asked, stage)


def _sales(data: Path | None, at: str | None, days: int) -> tuple[Sales, dict[str, str], int]:
    """Return the sales, the items' categories and the day to forecast from."""
    from orchestration.inventory.sales import from_file, number_of

    until = None if at is None else logical(at).astimezone(UTC).date()
    if data is not None:
        sales = from_file(data)
        return sales, {}, sales.last_day + 1 if until is None else number_of(until)
    until = until or datetime.now(UTC).date()
    sales, categories = forecasting.from_lake(settings(), until, days)
    return sales, categories, forecasting.origin_of(sales, number_of(until))


def _show(document: dict[str, Any]) -> None:
    title = "{items:,} items from {origin} on, {new_items} of them new, by {model_version}"
    table = Table(title=title.format(**document), title_justify="left")
    table.add_column("28 days", no_wrap=True)
    for name in ("own forecast", "sum of items", "gap"):
        table.add_column(name, justify="right")
    for name, one in {"all items": document["total"], **document["categories"]}.items():
        gap = "-" if one["gap"] is None else f"{one['gap']:+.1%}"
        mark = "" if one["adds_up"] else "  does not add up"
        table.add_row(name, f"{one['units']:,.0f}", f"{one['items_sum']:,.0f}", gap + mark)
    Console().print(table)
    typer.echo(f"{document['sent']:,} forecasts written to {document['topic']}")


@uplift.command(
    "set", epilog="Example: millrace forecast uplift set 1.4 --item 22423 --from 2026-11-20"
)
def set_(
    factor: Annotated[float, typer.Argument(help="1.4 is 40 % more than forecast")],
    *,
    item: Item = None,
    category: Category = None,
    begin: Annotated[
        datetime | None, typer.Option("--from", formats=_FORM, help="first day; default: always")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--until", formats=_FORM, help="last day; default: always")
    ] = None,
    reason: Annotated[str, typer.Option(help="why, for others to read")] = "",
    as_json: AsJson = False,
) -> None:
    """Set a factor on the forecasts of an item or a category; the next forecasts have it."""
    given = _uplift(item, category, factor, days=(_date(begin), _date(end)), reason=reason)
    _told(forecasting.set_uplift(settings(), given), as_json=as_json)


@uplift.command(epilog="Example: millrace forecast uplift remove --item 22423")
def remove(*, item: Item = None, category: Category = None, as_json: AsJson = False) -> None:
    """Remove what was set for an item or a category."""
    given = _uplift(item, category, 1.0)
    _told(forecasting.remove_uplifts(settings(), given), as_json=as_json)


@uplift.command("list", epilog="Example: millrace forecast uplift list --json")
def list_(*, as_json: AsJson = False) -> None:
    """List what was set."""
    _told(forecasting.uplifts(settings()), as_json=as_json)


def _uplift(
    item: str | None,
    category: str | None,
    factor: float,
    *,
    days: tuple[date | None, date | None] = (None, None),
    reason: str = "",
) -> Uplift:
    if (item is None) == (category is None):
        raise UserError("say of what: either --item ID or --category NAME")
    try:
        if item is not None:
            return Uplift("item", item, factor, *days, reason)
        return Uplift("category", category or "", factor, *days, reason)
    except ValueError as error:
        raise UserError(str(error)) from None


def _date(given: datetime | None) -> date | None:
    return None if given is None else given.date()


def _told(known: Uplifts, *, as_json: bool) -> None:
    if as_json:
        documents = [one.document() for one in known.given]
        typer.echo(json.dumps({"uplifts": documents}, default=str))
        return
    table = Table("of", "name", "factor", "from", "until", "reason")
    for one in known.given:
        begin, end = (str(day) if day else "always" for day in (one.begin, one.end))
        table.add_row(one.of, one.name, f"{one.factor:g}", begin, end, one.reason)
    Console().print(table)

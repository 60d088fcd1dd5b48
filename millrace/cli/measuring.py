"""Show how good the decisions were, day by day as verdicts come: `millrace model quality`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from config.settings import settings
from millrace.options import AsJson, logical

FIGURES = ("precision", "recall", "block_precision", "block_recall")
ORDERS = ("average_precision", "calibration_error")


def quality(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="whose decisions: fraud")],
    *,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="payments from then on, ISO 8601")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="payments before then")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show precision, recall, average precision and calibration by day of payment, from the lake.

    They are among payments with a verdict; `known` is the share of those. A verdict that comes late
    changes the day of its payment.
    """
    if product != "fraud":
        raise UserError(f"no decisions of {product!r} are measured; those are: fraud")
    from lakehouse.catalog import catalog
    from lakehouse.fraud.quality import by_day
    from lakehouse.query import connect

    begin = None if since is None else logical(since, "--since")
    end = None if until is None else logical(until, "--until")
    loaded = settings()
    with (
        Console(stderr=True).status("asking the lake"),
        connect(loaded.lake_memory, loaded.lake_spill) as con,
    ):
        found = by_day(con, catalog(loaded), begin, end)
    if as_json:
        shown = [{**one, "day": one["day"].isoformat()} for one in found]
        typer.echo(json.dumps(shown, indent=2))
    elif found:
        _show(found)
    else:
        typer.echo("the lake has no score of a payment of that time")


def _show(found: list[dict[str, Any]]) -> None:
    table = Table(box=None, header_style="bold")
    table.add_column("day", no_wrap=True)
    for heading in ("payments", "known", "frauds", "flagged", "precision", "recall"):
        table.add_column(heading, justify="right")
    for heading in ("blocked", "precision", "recall", "AP", "ECE"):
        table.add_column(heading, justify="right")
    for one in found:
        shares = [_share(one[name]) for name in FIGURES]
        table.add_row(
            one["day"].isoformat(),
            f"{one['payments']:,}",
            _share(one["known"]),
            f"{one['frauds']:,}",
            f"{one['flagged']:,}",
            *shares[:2],
            f"{one['blocked']:,}",
            *shares[2:],
            *(_share(one[name], ".3f") for name in ORDERS),
        )
    Console().print(table)


def _share(value: float | None, form: str = ".1%") -> str:
    return "-" if value is None else format(value, form)

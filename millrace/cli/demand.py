"""`millrace evaluate inventory`: measure forecasts of demand on data of one's own."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from millrace.options import AsJson
from millrace.stages import stages

_FORM = ["%Y-%m-%d"]


def inventory(
    *,
    data: Annotated[
        Path,
        typer.Option(
            help="UCI Online Retail, or a file with its columns: parquet, CSV or workbook",
            exists=True,
            dir_okay=False,
        ),
    ],
    origins: Annotated[
        int, typer.Option(min=1, max=52, help="at which forecasts are made, a week apart")
    ] = 11,
    until: Annotated[
        datetime | None,
        typer.Option(formats=_FORM, help="last day to measure on; default: the data's last"),
    ] = None,
    closed: Annotated[
        list[datetime] | None,
        typer.Option(formats=_FORM, help="a day announced as closed; give it several times"),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="beside ours only this method; several times, or none")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="computing at once")] = os.cpu_count() or 1,
    as_json: AsJson = False,
) -> None:
    """Measure forecasts of demand beside well-known methods, at rolling origins.

    At each origin nothing is used that was known from then on, cancellations included. WAPE and
    bias are of the items' totals over 7, 14 and 28 days, MASE of their days, coverage of the
    intervals, and accuracy is 1 - WAPE of the units of all items by day and by week. Slow methods
    are measured at three of the origins, ours as well; AutoTheta only with --only.
    """
    from orchestration.inventory.evaluation import evaluate, known_methods
    from orchestration.inventory.evaluation import origins as chosen
    from orchestration.inventory.panel import Panels
    from orchestration.inventory.sales import from_file, number_of

    known = known_methods()
    wanted = (
        [one for one in only if one != "none"]
        if only
        else [name for name, one in known.items() if not one.on_request]
    )
    if unknown := [name for name in wanted if name not in known]:
        raise UserError(f"no method {unknown[0]!r}; there are: {', '.join(known)}")
    sales = from_file(data)
    panels = Panels(sales, [number_of(one.date()) for one in closed or ()])
    at = chosen(sales, origins, None if until is None else number_of(until.date()) + 1)
    with stages("evaluating") as stage:
        document = evaluate(
            panels, at, {name: known[name] for name in wanted}, workers=workers, stage=stage
        )
    if as_json:
        typer.echo(json.dumps(document, indent=2))
        return
    _show(document)


def _show(document: dict[str, Any]) -> None:
    title = (
        f"{document['items']:,} items, {len(document['origins'])} origins from "
        f"{document['origins'][0]} to {document['origins'][-1]}"
    )
    Console().print(_table(title, document["methods"]))
    if slow := document.get("slow_methods"):
        beside = [one for one in document["methods"] if one["origins"] == len(slow["origins"])]
        ours = next(one for name, one in slow.items() if name != "origins")
        Console().print(_table(f"at {', '.join(slow['origins'])} alone", [ours, *beside]))
    share = document["new_items"]["share_of_units"]
    Console().print(f"Items first sold after an origin: {share:.1%} of the units, in the sum alone")


def _table(title: str, methods: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("method", no_wrap=True)
    names = ("7 d", "14 d", "28 d", "bias", "MASE", "by day", "by week", "80 %", "95 %", "CPU s")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for one in methods:
        covered = one["coverage"].get("14", {})
        table.add_row(
            one["method"],
            *(f"{one['wape'][days]:.3f}" for days in ("7", "14", "28")),
            f"{one['bias']['28']:+.3f}",
            f"{one['mase']:.3f}",
            f"{one['accuracy_by_day']:.3f}",
            f"{one['accuracy_by_week']:.3f}",
            *(f"{covered[level]:.3f}" if level in covered else "-" for level in ("80", "95")),
            f"{one['cpu_seconds']:.0f}",
        )
    return table

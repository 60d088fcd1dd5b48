"""`millrace train`: models from data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from config.errors import UserError
from config.settings import settings
from millrace.stack.layout import Layout

app = typer.Typer(help="Train models.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keeps `fraud` a command of its own while it is the only one."""


@app.command(epilog="Example: millrace train fraud --data transactions.parquet --rows 200000")
def fraud(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            help="parquet with the Fraud Detection Handbook's columns", exists=True, dir_okay=False
        ),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="with --data: a trial on about so many rows")
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="train on simulated payments")
    ] = False,
    days: Annotated[int, typer.Option(min=16, help="with --simulate")] = 40,
    customers: Annotated[int, typer.Option(min=10, help="with --simulate")] = 200,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="of the simulation and of the training")
    ] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="the model's card as JSON")] = False,
) -> None:
    """Train the fraud model and make it current: a running consumer takes it up within a second."""
    if (data is None) == (not simulate):
        raise UserError("say what to train on: either --data PATH or --simulate")
    if rows is not None and data is None:
        raise UserError("--rows goes with --data")
    from orchestration.training.fraud import train
    from orchestration.training.sources import handbook, simulated

    source = handbook(data, rows) if data is not None else simulated(days, customers, seed)
    with _bars(quiet=as_json) as bar:
        trained = train(
            source,
            Layout.of(settings()).current_model("fraud").parent,
            seed=seed,
            progress=bar("features", len(source.transactions)),
            report=bar("trees", None),
        )
    if as_json:
        typer.echo(json.dumps({**trained.card, "folder": str(trained.folder)}))
    else:
        _show(trained.card, trained.folder)


@contextmanager
def _bars(*, quiet: bool) -> Iterator[Callable[[str, int | None], Callable[[int], None]]]:
    """Progress on standard error, so that standard output stays the result's."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), disable=quiet, transient=True
    ) as progress:

        def bar(name: str, total: int | None) -> Callable[[int], None]:
            task = progress.add_task(name, total=total)

            def at(done: int) -> None:
                progress.update(task, completed=done)

            return at

        yield bar


def _show(card: Any, folder: Path) -> None:
    table = Table(
        title=f"{card['version']}: {card['trees']} trees on {card['data']['source']}",
        title_justify="left",
    )
    table.add_column("")
    for part in card["metrics"]:
        table.add_column(part, justify="right")
    for name in card["metrics"]["test"]:
        table.add_row(
            name.replace("_", " "), *(f"{part[name]:,.4g}" for part in card["metrics"].values())
        )
    console = Console()
    console.print(table)
    thresholds = card["thresholds"]
    console.print(f"review from {thresholds['review']:.4f}, block from {thresholds['block']:.4f}")
    console.print(f"current: {folder}", soft_wrap=True)

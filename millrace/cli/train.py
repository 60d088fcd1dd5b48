"""Train models from data: `millrace train`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from config.settings import settings
from domain.fraud.policy import USUAL, Targets
from millrace.cli import train_anomalies
from millrace.cli.reliability import reliability
from millrace.retraining import follow, kernel
from millrace.stack.layout import Layout
from millrace.stages import stages
from orchestration.shelf.card import Card

RECOMMENDER, ORDERS = "recommender", "orders"


class By(StrEnum):
    """The ways to choose thresholds."""

    TARGETS = "targets"
    COST = "cost"


app = typer.Typer(help="Train models.", no_args_is_help=True)
app.command("anomalies", epilog=train_anomalies.EXAMPLE)(train_anomalies.anomalies)


@app.command(epilog="Example: millrace train fraud --data transactions.parquet --promote")
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
    days: Annotated[int, typer.Option(min=16, help="with --simulate")] = 90,
    customers: Annotated[int, typer.Option(min=10, help="with --simulate")] = 1000,
    strikes: Annotated[
        float,
        typer.Option(
            min=0, help="with --simulate: times the handbook's share of terminals and cards struck"
        ),
    ] = 1.0,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="of the simulation and of the training")
    ] = 7,
    block_precision: Annotated[
        float, typer.Option(help="least share of fraud in what is blocked, 0 to 1")
    ] = USUAL.block_precision,
    review_rate: Annotated[
        float, typer.Option(help="largest share of all payments that people look at, 0 to 1")
    ] = USUAL.review_rate,
    review_precision: Annotated[
        float, typer.Option(help="least share of fraud in what people look at, 0 to 1")
    ] = USUAL.review_precision,
    thresholds: Annotated[
        By | None,
        typer.Option(
            help="chosen by the targets above, or by cost (MILLRACE_FRAUD_COST_…); without, as "
            "MILLRACE_FRAUD_THRESHOLDS says"
        ),
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="make the model current at once")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the model's card as JSON")] = False,
) -> None:
    """Train a fraud model and publish it.

    It scores nothing until it is promoted (`millrace model promote`, or --promote here); a running
    consumer then takes it up within a second.
    """
    if (data is None) == (not simulate):
        raise UserError("say what to train on: either --data PATH or --simulate")
    if rows is not None and data is None:
        raise UserError("--rows goes with --data")
    targets = _targets(block_precision, review_rate, review_precision)
    from orchestration.fraud.sources import handbook, simulated
    from orchestration.fraud.thresholds import aim
    from orchestration.fraud.train import ROUNDS, train
    from orchestration.shelf.store import Store

    configured = settings()
    if thresholds is not None:
        configured = configured.model_copy(update={"fraud_thresholds": thresholds.value})
    layout = Layout.of(configured)
    shelf = layout.models / "fraud"
    with stages("training") as stage:
        if data is not None:
            source = handbook(data, rows, progress=stage("reading", None))
        else:
            source = simulated(days, customers, seed, strikes=strikes)
        trained = train(
            source,
            shelf,
            seed=seed,
            aim=aim(configured, targets),
            progress=stage("features", len(source.payments)),
            report=stage("trees", ROUNDS),
            kernel=kernel(layout),
        )
    if promote:
        Store(shelf).promote(trained.card.version)
        follow(settings(), "fraud")
    if as_json:
        document = trained.card.document()
        typer.echo(json.dumps({**document, "folder": str(trained.folder), "promoted": promote}))
    else:
        _show(trained.card, "fraud", promoted=promote)


@app.command(epilog="Example: millrace train recommendations --data sessions.txt.gz --promote")
def recommendations(
    *,
    data: Annotated[
        Path,
        typer.Option(
            help="sessions: SessionId, ItemId, Time by tabs, or one session a line; gzip or plain",
            exists=True,
            dir_okay=False,
        ),
    ],
    promote: Annotated[
        bool, typer.Option("--promote", help="make the model current at once")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the model's card as JSON")] = False,
) -> None:
    """Learn to order the best candidates of a shop's recommendations, and publish that.

    The recommender works without: then its neighbours' order stands. A running one takes up what is
    promoted within a second, and makes its lists anew in quiet moments.
    """
    from orchestration.recommendations.ranking import learn
    from orchestration.recommendations.sessions import read
    from orchestration.shelf.store import Store

    found = read(data).sessions
    if not found:
        raise UserError(f"{data} holds questions; --data needs sessions")
    shelf = Layout.of(settings()).models / RECOMMENDER
    with stages("learning") as stage:
        learnt = learn(found, progress=stage("sessions", len(found)))
    card = learnt.publish(shelf, {"source": data.name})
    if promote:
        Store(shelf).promote(card.version)
    if as_json:
        document = card.document()
        folder = str(shelf / card.version)
        typer.echo(json.dumps({**document, "folder": folder, "promoted": promote}))
        return
    console = Console()
    console.print(
        f"{card.details['trees']} trees from {card.details['questions']:,} questions of "
        f"{card.details['sessions']:,} sessions",
        soft_wrap=True,
    )
    _next(console, RECOMMENDER, card, promoted=promote)


@app.command(epilog="Example: millrace train orders --visitors 2000 --promote")
def orders(
    *,
    visitors: Annotated[int, typer.Option(min=200, help="how many are simulated")] = 2000,
    days: Annotated[int, typer.Option(min=30, help="how long they are")] = 60,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="of the simulation and of the training")
    ] = 7,
    promote: Annotated[
        bool, typer.Option("--promote", help="make the model current at once")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the model's card as JSON")] = False,
) -> None:
    """Train a model of a shop's orders on simulated fraud, and publish it.

    `millrace simulate orders` writes events of the same kind, with the truth beside them.
    """
    from ingestion.shop.order_simulator import OrderSimulator, Shop
    from orchestration.fraud.train import ROUNDS
    from orchestration.orders.train import train
    from orchestration.shelf.store import Store

    layout = Layout.of(settings())
    shelf = layout.models / ORDERS
    source = f"simulated: {visitors} visitors, {days} days, seed {seed}"
    with stages("training") as stage:
        shop = OrderSimulator(Shop(visitors=visitors, days=days, seed=seed))
        happened = shop.events()
        trained = train(
            happened,
            source,
            shelf,
            seed=seed,
            progress=stage("features", None),
            report=stage("trees", ROUNDS),
            kernel=kernel(layout),
        )
    if promote:
        Store(shelf).promote(trained.card.version)
    if as_json:
        document = trained.card.document()
        typer.echo(json.dumps({**document, "folder": str(trained.folder), "promoted": promote}))
    else:
        _show(trained.card, ORDERS, promoted=promote)


def _targets(block_precision: float, review_rate: float, review_precision: float) -> Targets:
    try:
        return Targets(block_precision, review_rate, review_precision)
    except ValueError as error:
        raise UserError(str(error)) from error


def _show(card: Card, product: str, *, promoted: bool) -> None:
    details = card.details
    table = Table(
        title=f"{card.version}: {details['trees']} trees on {details['data']['source']}",
        title_justify="left",
    )
    table.add_column("")
    for part in details["metrics"]:
        table.add_column(part, justify="right")
    for name in details["metrics"]["test"]:
        table.add_row(
            name.replace("_", " "), *(f"{part[name]:,.4g}" for part in details["metrics"].values())
        )
    console = Console()
    console.print(table)
    console.print(reliability(details["calibration"]["test"]))
    thresholds = details["thresholds"]
    console.print(f"review from {thresholds['review']:.4f}, block from {thresholds['block']:.4f}")
    _next(console, product, card, promoted=promoted)


def _next(console: Console, product: str, card: Card, *, promoted: bool) -> None:
    if promoted:
        console.print(f"current: {card.version}", soft_wrap=True)
        return
    console.print("published; to use it, type", soft_wrap=True)
    console.print(f"  millrace model promote {product} {card.version}", soft_wrap=True)

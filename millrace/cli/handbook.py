"""`millrace evaluate fraud`: measure the fraud model by the Fraud Detection Handbook's protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from config.settings import settings
from domain.times import milliseconds
from millrace.cli.operating import Asked, operating
from millrace.cli.sparkov import sparkov
from millrace.options import AsJson
from millrace.retraining import kernel
from millrace.stack.layout import Layout
from millrace.stages import stages
from millrace.streaming import duration_ms

if TYPE_CHECKING:
    from orchestration.fraud.evaluation import Evaluated


class Format(StrEnum):
    """Whose columns the payments have."""

    HANDBOOK = "handbook"
    SPARKOV = "sparkov"


def fraud(
    *,
    data: Annotated[
        Path,
        typer.Option(
            help="payments with the Handbook's columns (or see --format): a parquet or CSV file, "
            "or a folder of daily files (also .pkl, of which nothing but a plain data frame is "
            "read)",
            exists=True,
        ),
    ],
    train_start: Annotated[
        list[str] | None,
        typer.Option(
            help="first day of a fold's training week, as 2018-07-25; give it several times. "
            "Without: the last four folds of the data, a week apart",
        ),
    ] = None,
    bound: Annotated[
        bool,
        typer.Option(
            "--bound",
            help="what can be found at all, by the column TX_FRAUD_SCENARIO",
        ),
    ] = False,
    kind: Annotated[
        Format,
        typer.Option(
            "--format",
            help="sparkov: CSV with cards, merchants, categories and places, parts by time",
        ),
    ] = Format.HANDBOOK,
    operating_points: Annotated[
        bool,
        typer.Option(
            "--operating-points",
            help="instead of the ranking: precision and recall at chosen thresholds",
        ),
    ] = False,
    label_delay: Annotated[
        str,
        typer.Option(
            help="with --operating-points or sparkov: verdicts come in so long after, at most 7d"
        ),
    ] = "7d",
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="of the training")] = 7,
    as_json: AsJson = False,
) -> None:
    """Measure the ranking of card payments beside the Handbook's models on its own features.

    A fold is seven days of training, seven in which verdicts come in, and seven of test, without
    the cards that are known to be compromised: ROC AUC, average precision, and the precision of the
    100 most suspect cards of a day. Features know the payments before, also those before the
    training week, and of each verdict no more than had come in. A second table trains on all
    payments until the end of the training week, whose verdicts are known when the test begins.

    --operating-points chooses thresholds on the training week, by a model of the time before it,
    and says what they come to in the test week, by payment and by card.

    --format sparkov measures ranking and operating points on the last quarter of the time, beside a
    logistic regression on each payment's own columns.
    """
    if kind is Format.SPARKOV:
        if train_start or bound or operating_points:
            raise UserError("--format sparkov takes neither folds nor --bound: it measures all")
        sparkov(data, duration_ms(label_delay), seed, as_json=as_json)
        return
    from orchestration.fraud.sources import HANDBOOK_DELAY_MS, handbook, scenarios

    starts = [_day(text) for text in train_start or ()]
    delay = duration_ms(label_delay)
    if delay > HANDBOOK_DELAY_MS or (delay < HANDBOOK_DELAY_MS and not operating_points):
        raise UserError("--label-delay is at most 7d, and goes with --operating-points")
    with stages("evaluating") as stage:
        source = handbook(data, delay_ms=delay, progress=stage("reading", None))
        scenario = scenarios(data, source) if bound else None
        measured = Asked(source, starts, seed, scenario, kernel(Layout.of(settings())), stage)
        document, show = (operating if operating_points else _ranking)(measured)
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        show()


def _ranking(asked: Asked) -> tuple[dict[str, Any], Callable[[], None]]:
    from orchestration.fraud.evaluation import evaluate, models_to_measure

    found = evaluate(
        asked.source,
        asked.starts,
        seed=asked.seed,
        scenario=asked.scenario,
        kernel=asked.kernel,
        progress=asked.stage("features", len(asked.source.payments)),
        report=asked.stage("models", models_to_measure(len(asked.starts))),
    )
    return found.document(), lambda: _show(found)


def _day(text: str) -> int:
    try:
        return milliseconds(text)
    except ValueError as error:
        raise UserError(f"--train-start: {error}") from None


def _show(found: Evaluated) -> None:
    from orchestration.fraud.evaluation import TABLES

    console = Console()
    for name, methods in found.tables.items():
        rows = methods if found.bound is None else {**methods, "bound": found.bound}
        console.print(_table(f"{len(found.folds)} folds, {TABLES[name]}", rows))
    if "xgboost" not in found.tables["week"]:
        console.print("XGBoost is not installed and was left out: pip install xgboost-cpu")


def _table(title: str, methods: dict[str, dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("method", no_wrap=True)
    for heading in ("ROC AUC", "average precision", "card precision@100"):
        table.add_column(heading, justify="right")
    for name, figures in methods.items():
        mean = figures["mean"]
        table.add_row(
            name,
            *(f"{mean[key]:.4f}" for key in ("roc_auc", "average_precision", "card_precision_100")),
        )
    return table

"""Retrain models through a gate, step by step or as a whole: `millrace retrain`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.errors import UserError
from config.settings import settings
from millrace.retraining import products, record
from millrace.stack.layout import Layout
from millrace.stages import stages

if TYPE_CHECKING:
    from orchestration.retraining.gated import Gated

app = typer.Typer(
    help="Retrain a model through a gate. Each step ends with a line of JSON.",
    no_args_is_help=True,
)

ProductName = Annotated[
    str, typer.Argument(metavar="PRODUCT", help="whose model: fraud or recommender")
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="logical date, ISO 8601 with its zone: data end there; default: today, 00:00 UTC",
    ),
]
Days = Annotated[int | None, typer.Option(min=1, help="of data; default: MILLRACE_RETRAIN_DAYS")]
Data = Annotated[
    Path | None,
    typer.Option(
        help="parquet with the Fraud Detection Handbook's columns, instead of the lake",
        exists=True,
        dir_okay=False,
    ),
]
Seconds = Annotated[float, typer.Option(min=0, help="to wait for the scorer")]


@app.command(epilog="Example: millrace retrain check fraud --at 2018-08-08T00:00Z")
def check(product: ProductName, at: At = None, days: Days = None) -> None:
    """Check the quality of the lake's tables that the rows come from; one failure: code 2."""
    _end(_checked(_steps(product, at), days))


@app.command(
    epilog="Example: millrace retrain extract fraud --at 2018-08-08T00:00Z --data t.parquet"
)
def extract(product: ProductName, at: At = None, days: Days = None, data: Data = None) -> None:
    """Read the rows of the window that ends at the logical date, and keep them as a frame."""
    with stages("extracting") as stage:
        _end(_steps(product, at, data).extract(days or settings().retrain_days, stage))


@app.command(epilog="Example: millrace retrain validate fraud --at 2018-08-08T00:00Z")
def validate(product: ProductName, at: At = None) -> None:
    """Check the rows; one that fails stops the retraining with code 2."""
    _end(_steps(product, at).validate())


@app.command(epilog="Example: millrace retrain train fraud --at 2018-08-08T00:00Z")
def train(product: ProductName, at: At = None) -> None:
    """Learn a model from the rows that passed."""
    with stages("training") as stage:
        _end(_steps(product, at).train(stage))


@app.command(epilog="Example: millrace retrain evaluate fraud --at 2018-08-08T00:00Z")
def evaluate(product: ProductName, at: At = None) -> None:
    """Measure the new model and the one in use on the same held-out rows."""
    _end(_steps(product, at).evaluate())


# Not named `register`: that is how a module of this package adds commands of its own.
@app.command("register", epilog="Example: millrace retrain register fraud --at 2018-08-08T00:00Z")
def enter(product: ProductName, at: At = None) -> None:
    """Record the run in MLflow and publish the model; it scores nothing yet."""
    _end(_steps(product, at).register(record(settings(), product)))


@app.command(epilog="Example: millrace retrain promote fraud --at 2018-08-08T00:00Z")
def promote(product: ProductName, at: At = None) -> None:
    """Make the new model current if it passes the gate; else the one in use stays."""
    _end(_steps(product, at).promote(record(settings(), product)))


@app.command(epilog="Example: millrace retrain confirm fraud")
def confirm(product: ProductName, within: Seconds = 60.0) -> None:
    """Wait until the scorer has taken up the current model; code 2 if it does not."""
    from millrace.retraining import taken

    _end(taken(settings(), product, within))


@app.command(epilog="Example: millrace retrain run fraud --at 2018-08-08T00:00Z --data t.parquet")
def run(product: ProductName, at: At = None, days: Days = None, data: Data = None) -> None:
    """Do every step up to the gate, one after the other; the result is the gate's."""
    steps = _steps(product, at, data)
    _checked(steps, days)
    with stages("retraining") as stage:
        steps.extract(days or settings().retrain_days, stage)
        steps.validate()
        steps.train(stage)
    steps.evaluate()
    known = record(settings(), product)
    steps.register(known)
    _end(steps.promote(known))


def _steps(product: str, at: str | None, data: Path | None = None) -> Gated:
    from orchestration.retraining.handover import Run

    loaded = settings()
    layout = Layout.of(loaded)
    made = products()
    if product not in made:
        raise UserError(f"{product!r} is not retrained; these are: {', '.join(made)}")
    run = Run.of(layout.retraining, product, _moment(at))
    return made[product](loaded, data, run, layout.models / product)


def _checked(steps: Gated, days: int | None) -> dict[str, Any]:
    from millrace.retraining import checked

    return checked(settings(), steps, steps.run.at, days or settings().retrain_days)


def _moment(at: str | None) -> datetime:
    if at is None:
        return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        return datetime.fromisoformat(at)
    except ValueError as error:
        raise UserError(f"--at: {error}") from error


def _end(document: dict[str, Any]) -> None:
    """Print the result as the last line of the output, for whoever called."""
    typer.echo(json.dumps(document))

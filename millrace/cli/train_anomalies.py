"""Train learned detectors of anomalies: `millrace train anomalies`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from config.settings import settings
from domain.anomalies.policy import PRODUCT
from millrace.options import AsJson
from millrace.stack.layout import Layout
from millrace.stages import stages

if TYPE_CHECKING:
    from orchestration.shelf.card import Card

EXAMPLE = "Example: millrace train anomalies --data windows.parquet --detector combined --promote"


class Detector(StrEnum):
    """Detectors that learn from windows of features."""

    IFOREST = "iforest"
    OCSVM = "ocsvm"
    LSTM = "lstm"
    COMBINED = "combined"
    ALL = "all"


def anomalies(
    *,
    data: Annotated[
        Path,
        typer.Option(
            help="windows of features: CSV, JSON lines (.jsonl) or Parquet, a column a feature",
            exists=True,
            dir_okay=False,
        ),
    ],
    detector: Annotated[
        Detector,
        typer.Option(
            help="iforest: Isolation Forest; ocsvm: One-Class SVM; combined: both; lstm: LSTM "
            "autoencoder, which needs JAX (scripts/setup.sh --with ml); all: the three"
        ),
    ] = Detector.COMBINED,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="of the training")] = 7,
    promote: Annotated[
        bool, typer.Option("--promote", help="make the model current at once")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Learn what is usual from windows most of which are, and publish the detector.

    Columns that name the window (sensor_id, asset_id, timestamp and the like) are no features; an
    empty cell is an unknown value. The threshold is the 99 % quantile of the scores of training. It
    scores once it is promoted (`millrace model promote anomalies latest`, or --promote here).
    """
    from orchestration.anomalies.learned.detectors import CHOICES
    from orchestration.anomalies.learned.rows import read
    from orchestration.anomalies.learned.train import train
    from orchestration.shelf.store import Store

    windows = read(data)
    shelf = Layout.of(settings()).models / PRODUCT
    with stages("learning") as stage:
        learnt = train(
            windows,
            detector.value,
            seed=seed,
            progress=stage("detectors", len(CHOICES[detector.value])),
        )
    card = learnt.publish(shelf)
    if promote:
        Store(shelf).promote(card.version)
    run = _recorded(shelf, card)
    if as_json:
        more = {"folder": str(shelf / card.version), "promoted": promote, "mlflow_run": run}
        typer.echo(json.dumps({**card.document(), **more}))
        return
    console = Console()
    learnt_from = f"{len(windows.rows):,} windows of {len(windows.features)} features"
    console.print(f"{card.version}: {detector.value} from {learnt_from}", soft_wrap=True)
    if run is not None:
        console.print(f"recorded in MLflow: run {run}", soft_wrap=True)
    if promote:
        console.print(f"current: {card.version}", soft_wrap=True)
    else:
        console.print("published; to use it, type", soft_wrap=True)
        console.print(f"  millrace model promote {PRODUCT} {card.version}", soft_wrap=True)


def _recorded(shelf: Path, card: Card) -> str | None:
    """Return MLflow's run of the model; None without one: if it is away, say so."""
    from orchestration.anomalies.learned.recorded import write
    from orchestration.retraining.record import failures
    from orchestration.shelf.store import Store

    try:
        found = write(settings(), Store(shelf), card)
    except failures() as error:
        typer.echo(f"not recorded in MLflow: {error}", err=True)
        return None
    return None if found is None else found.run

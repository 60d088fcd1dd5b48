"""`millrace evaluate fraud --format sparkov`: payments with merchants, categories and places."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from config.settings import settings
from millrace.cli.reliability import reliability
from millrace.retraining import kernel
from millrace.stack.layout import Layout
from millrace.stages import stages

if TYPE_CHECKING:
    from orchestration.fraud.sparkov import Compared


def sparkov(data: Path, delay_ms: int, seed: int, *, as_json: bool) -> None:
    """Measure, and print the result."""
    from ingestion.fraud.sparkov import read
    from orchestration.fraud.sparkov import compare
    from orchestration.fraud.train import ROUNDS

    given = read(data)
    with stages("evaluating") as stage:
        found = compare(
            given.payments,
            given.rejected,
            delay_ms,
            seed=seed,
            kernel=kernel(Layout.of(settings())),
            progress=stage("features", len(given.payments)),
            report=stage("trees", ROUNDS),
        )
    if as_json:
        typer.echo(json.dumps(found.document(), indent=2))
    else:
        _show(found)


def _show(found: Compared) -> None:
    from orchestration.fraud.operating import POINTS
    from orchestration.fraud.sparkov import MILLRACE

    test = found.split.test
    what = f"the last {len(test):,} of {found.payments:,} payments"
    table = Table(title=f"{what}, {int(test.y.sum()):,} frauds", title_justify="left")
    for heading in ("method", "figure"):
        table.add_column(heading, no_wrap=True)
    for heading in ("precision, payments", "recall, payments", "precision, cards", "recall, cards"):
        table.add_column(heading, justify="right")
    for name, figures in found.methods.items():
        for point, counted in figures["points"].items():
            shares = (
                counted[unit][share]
                for unit in ("payment", "card")
                for share in ("precision", "recall")
            )
            table.add_row(name, point, *("-" if one is None else f"{one:.3f}" for one in shares))
    console = Console()
    console.print(table)
    for name, what in POINTS.items():
        console.print(f"{name}: {what}")
    for name, figures in found.methods.items():
        console.print(
            f"{name}: ROC AUC {figures['roc_auc']:.4f}, "
            f"average precision {figures['average_precision']:.4f}",
            soft_wrap=True,
        )
    console.print(reliability(found.methods[MILLRACE]["calibration"]))

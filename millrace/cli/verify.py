"""Show that what was logged is what is computed again: `millrace verify`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import settings
from millrace.options import AsJson
from millrace.stages import stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse.fraud.verification import Finding

app = typer.Typer(
    help="Compute again what was logged: feature vectors, from the lake.", no_args_is_help=True
)


@app.callback()
def _verify() -> None:
    """Compute again what was logged."""


@app.command(epilog="Example: millrace verify features --sample 50 --seed 7 --json")
def features(
    sample: Annotated[int, typer.Option(min=1, help="vectors to verify")] = 20,
    *,
    seed: Annotated[int, typer.Option(help="draws the same vectors from the same lake")] = 1,
    as_json: AsJson = False,
) -> None:
    """Recompute logged fraud vectors from bronze with the reference engine, bit for bit.

    Exit code 1 if one differs. A vector that rests on records older than the lake is told as not
    verifiable, and does not count as equal.
    """
    from lakehouse.catalog import catalog
    from lakehouse.fraud.log import Log
    from lakehouse.fraud.verification import Verifier, counts
    from lakehouse.query import connect

    current = settings()
    with (
        connect(current.lake_memory, current.lake_spill) as con,
        stages("verify") as stage,
    ):
        verifier = Verifier(Log(con, catalog(current)), current.event_ahead_ms)
        report = stage("vectors", sample)
        findings = list(verifier.sample(sample, seed, report))
    told = counts(findings)
    if as_json:
        body = {**told, "seed": seed, "vectors": [one.as_dict() for one in findings]}
        typer.echo(json.dumps(body, indent=2))
    else:
        _show(findings, told)
    if told["differing"]:
        raise typer.Exit(1)


def _show(findings: Sequence[Finding], told: dict[str, int]) -> None:
    console = Console()
    table = Table("payment", "place", "field", "logged", "computed")
    for one in findings:
        for name, (logged, computed) in one.differing.items():
            place = f"{one.partition}/{one.sequence}"
            cells = (one.transaction_id, place, name, repr(logged), repr(computed))
            table.add_row(*map(Text, cells))
    if told["differing"]:
        console.print(table)
    for why in sorted({one.why for one in findings if one.why is not None}):
        number = sum(one.why == why for one in findings)
        console.print(Text(f"{number} not verifiable: {why}"))
    typer.echo(
        f"{told['sampled']} vectors: {told['equal']} equal to the bit, "
        f"{told['differing']} differing, {told['not_verifiable']} not verifiable"
    )

"""Fill tables of the lake with what was not computed at its time: `millrace backfill`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from config.errors import UserError
from config.settings import settings
from domain.times import iso, since_epoch
from millrace.cli.sql import moment_of
from millrace.options import AsJson
from millrace.stages import stages

if TYPE_CHECKING:
    from millrace.backfilling import Backfilled

app = typer.Typer(
    help="Fill the lake with what was not computed at its time.", no_args_is_help=True
)


@app.callback()
def _backfill() -> None:
    """Fill the lake with what was not computed at its time."""


@app.command("fraud-features", epilog="Example: millrace backfill fraud-features --from 2026-01-01")
def fraud_features(
    start: Annotated[
        str | None, typer.Option("--from", help="payments from this time on (ISO 8601, UTC)")
    ] = None,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="only append what the job has logged since")
    ] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="compute by the reference engine, slowly")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compute vectors of payments anew from the lake, by the present declaration.

    In the order of arrival, into silver.fraud_vectors; --follow then appends what the job has
    logged behind the last place, so that each payment has one vector. Where the job has logged
    what is computed, the two are compared: exit code 1 if one differs.
    """
    from millrace.backfilling import backfill
    from millrace.retraining import kernel
    from millrace.stack.layout import Layout

    if follow == (start is not None):
        raise UserError("say --from DATE to compute, or --follow to go on")
    current = settings()
    engine = None if follow or reference else kernel(Layout.of(current))
    begin = None if start is None else since_epoch(moment_of(start))
    with stages("backfill") as stage:
        done = backfill(current, begin, engine, stage("vectors", None))
    if as_json:
        typer.echo(json.dumps(done.as_dict(), indent=2))
    else:
        _show(done)
    if done.differing:
        raise typer.Exit(1)


def _show(done: Backfilled) -> None:
    filled = done.filled
    typer.echo(
        f"silver.fraud_vectors: {filled.computed:,} computed, {filled.logged:,} logged; payments "
        f"from {iso(filled.state.start)}, computed up to place {filled.state.seam}, "
        f"all up to {filled.state.end}"
    )
    if filled.waits_for is not None:
        typer.echo(f"the job has not logged the payment at place {filled.waits_for} yet")
    if filled.left_out:
        typer.echo(f"{filled.left_out:,} left out: their windows begin before the lake does")
    if done.compared:
        typer.echo(f"{done.compared:,} compared with logged ones, {len(done.differing)} differ")
    for one in done.differing:
        typer.echo(f"{one['transaction_id']} at {one['sequence']}: {', '.join(one['fields'])}")

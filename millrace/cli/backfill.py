"""Fill tables of the lake with what was not computed at its time: `millrace backfill`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from config.errors import UserError
from config.settings import Settings, settings
from domain.times import iso, since_epoch
from millrace.cli.sql import moment_of
from millrace.options import AsJson
from millrace.stages import stages

if TYPE_CHECKING:
    from millrace.backfilling import Backfilled
    from millrace.flink.handover import Handed

_COMMITS, _PATIENCE_S = 3, 60.0

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
    hands_over: Annotated[
        bool,
        typer.Option("--hand-over", help="first give the running job the state that history makes"),
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

    With --hand-over the job fraud_features gets the state that history makes by the present
    declaration, so that what is new in it is whole from the first payment on: it stops, and goes
    on where it stopped, with no event missing or twice.
    """
    from millrace.backfilling import backfill
    from millrace.retraining import kernel
    from millrace.stack.layout import Layout

    if follow == (start is not None):
        raise UserError("say --from DATE to compute, or --follow to go on")
    if hands_over and start is None:
        raise UserError("--hand-over needs --from DATE: whence the job's windows are to be whole")
    current = settings()
    engine = None if follow or reference else kernel(Layout.of(current))
    begin = None if start is None else since_epoch(moment_of(start))
    handed = _handed(current, begin) if hands_over and begin is not None else None
    with stages("backfill") as stage:
        done = backfill(current, begin, engine, stage("vectors", None))
    if as_json:
        told = {} if handed is None else {"handed_over": asdict(handed)}
        typer.echo(json.dumps({**done.as_dict(), **told}, indent=2))
    else:
        _show(done)
    if done.differing:
        raise typer.Exit(1)


def _handed(current: Settings, begin: int) -> Handed:
    """Hand over, and wait for the lake, so that what is computed next reaches up to the seam."""
    from lakehouse.fraud.log import TOPIC
    from millrace.backfilling import await_lake, hand_over

    with Console(stderr=True).status("looking") as status:
        handed = hand_over(current, begin, status.update)
        status.update("waiting for the lake")
        seam = handed.seam[TOPIC]
        await_lake(current, seam, _COMMITS * current.lake_commit_seconds + _PATIENCE_S)
    places = ", ".join(f"{offset} of partition {one}" for one, offset in sorted(seam.items()))
    typer.echo(
        f"fraud_features {handed.job_id}: {handed.records:,} records, goes on at {places}", err=True
    )
    return handed


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

"""Simulate card payments into Kafka, or a shop into files: `millrace simulate`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ingestion.fraud.batches import FraudEncoders, PaymentBatches
from ingestion.fraud.simulator import HANDBOOK_START_MS, Payment, Strikes, simulation
from ingestion.replay.pacing import RatePacer, pacer
from ingestion.replay.run import Summary, run
from ingestion.shop.shop_files import EVENTS, write
from ingestion.shop.shop_simulator import Shape
from millrace import streaming

# The handbook's setting: 10,000 terminals within reach of a radius of 5.
_HANDBOOK_TERMINALS, _HANDBOOK_RADIUS = 10_000, 5.0


def register(app: typer.Typer) -> None:
    """Add `simulate`, which is a command and a group of one, to the application."""
    group = typer.Typer()
    group.command(epilog="Example: millrace simulate shop data --events 100000")(shop)
    example = "Example: millrace simulate --customers 500 --days 30"
    add = group.callback(invoke_without_command=True, epilog=example)
    add(simulate)
    app.add_typer(group, name="simulate", epilog=example)


def shop(
    folder: Annotated[Path, typer.Argument(help="where the files go")],
    *,
    events: Annotated[
        int, typer.Option(min=100, help="so many; visitors and items in proportion")
    ] = Shape().events,
    seed: Annotated[int, typer.Option(min=0, help="the same seed makes the same files")] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace files that are there")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the summary as JSON")] = False,
) -> None:
    """Write files of the shape and skew of Retail Rocket's, to be replayed like them.

    events.csv, item_properties_part1.csv and part2.csv, category_tree.csv.
    """
    console = Console(stderr=True, quiet=as_json)
    with console.status(f"simulating {events:,} events"):
        rows = write(folder, Shape.of(events), seed, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "rows": rows}))
        return
    for name, number in rows.items():
        typer.echo(f"{folder / name}: {number:,} rows")
    typer.echo(f"millrace replay retail-rocket {folder / EVENTS} replays them")


def simulate(
    context: typer.Context,
    *,
    customers: Annotated[int, typer.Option(min=1)] = 5000,
    terminals: Annotated[int, typer.Option(min=1)] = 10_000,
    days: Annotated[
        int | None,
        typer.Option(min=1, help="how many days of payments (until stopped if not given)"),
    ] = None,
    events: Annotated[int | None, typer.Option(min=1, help="only the first N payments")] = None,
    strikes: Annotated[
        float,
        typer.Option(min=0, help="times the handbook's share of terminals and cards struck"),
    ] = 1.0,
    rate: Annotated[
        float | None, typer.Option(help="payments a second (as fast as it goes if not given)")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="the same seed makes the same payments, ids included")
    ] = 1,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="the first day, UTC (2018-04-01 if not given)"),
    ] = None,
    label_delay: Annotated[
        str, typer.Option(help="a verdict becomes known so long after the payment")
    ] = "7d",
    as_json: Annotated[bool, typer.Option("--json", help="the summary as JSON")] = False,
) -> None:
    """Simulate card payments and their verdicts as the Fraud Detection Handbook does.

    Without --days and --events it goes on until it is stopped. `millrace simulate shop` writes
    files of a shop's clicks instead.
    """
    if context.invoked_subcommand is not None:
        return
    start_ms = int(start.replace(tzinfo=UTC).timestamp() * 1000) if start else HANDBOOK_START_MS
    radius = _HANDBOOK_RADIUS * math.sqrt(_HANDBOOK_TERMINALS / terminals)
    simulator = simulation(
        seed,
        customers=customers,
        terminals=terminals,
        radius=radius,
        start_ms=start_ms,
        strikes=Strikes.of(customers, terminals, strikes),
    )
    delay = streaming.duration_ms(label_delay)
    pace = RatePacer(rate) if rate is not None else pacer("max")

    def payments() -> Iterator[Payment]:
        for _ in range(days) if days is not None else count():
            yield from simulator.day()

    started = time.monotonic()
    with (
        streaming.kafka("millrace-simulate", paced=rate is not None) as (sink, codec),
        streaming.bar("payments", events, quiet=as_json) as report,
    ):
        made = PaymentBatches(FraudEncoders.of(codec), delay).of(payments(), events)

        def work() -> Summary:
            return run(made, sink, pace, None, report)

        summary = streaming.interruptible(work, "the same seed makes the same payments again")
    streaming.show(summary, time.monotonic() - started, as_json=as_json)

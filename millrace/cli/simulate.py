"""Simulate card payments into Kafka: `millrace simulate`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Annotated

import typer

from ingestion.fraud.batches import FraudEncoders, PaymentBatches
from ingestion.fraud.simulator import HANDBOOK_START_MS, Payment, Strikes, simulation
from ingestion.replay.pacing import RatePacer, pacer
from ingestion.replay.run import Summary, run
from millrace import streaming

# The handbook's setting: 10,000 terminals within reach of a radius of 5.
_HANDBOOK_TERMINALS, _HANDBOOK_RADIUS = 10_000, 5.0


def register(app: typer.Typer) -> None:
    """Add `simulate` to the application."""
    app.command(epilog="Example: millrace simulate --customers 500 --days 30")(simulate)


def simulate(
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

    Without --days and --events it goes on until it is stopped.
    """
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

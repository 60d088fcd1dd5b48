"""Simulate payments, sensors, stock into Kafka, a shop or sensors into files."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from config.clock import now_ms
from config.errors import UserError
from config.settings import settings
from ingestion.fraud.batches import FraudEncoders, PaymentBatches
from ingestion.fraud.payment_files import write as write_payments
from ingestion.fraud.simulator import HANDBOOK_START_MS, Payment, Strikes, reach, simulation
from ingestion.fraud.simulator import Simulator as Payments
from ingestion.fraud.sparkov_simulator import STOLEN_A_MONTH
from ingestion.fraud.sparkov_simulator import Shape as Cards
from ingestion.fraud.sparkov_simulator import write as write_sparkov
from ingestion.replay.pacing import RatePacer, pacer
from ingestion.replay.run import Summary, run
from ingestion.sensors import batches as readings
from ingestion.sensors.simulator import Setting, Simulator
from ingestion.shop.order_files import EVENTS as ORDER_EVENTS
from ingestion.shop.order_files import refuse_present
from ingestion.shop.order_files import write as write_orders
from ingestion.shop.order_simulator import OrderSimulator, Shop
from ingestion.shop.shop_files import EVENTS, write
from ingestion.shop.shop_simulator import Shape
from ingestion.shop.stock_batches import batches as stock_batches
from ingestion.shop.stock_simulator import Room, StockRoom
from millrace import streaming
from millrace.cli.handbook import Format
from millrace.stages import stages

_STRIKES = "times the handbook's share of terminals and cards struck"
_SEED = "the same seed makes the same payments, ids included"
_START: Any = typer.Option(
    formats=["%Y-%m-%d"], help="the first day, UTC (2018-04-01 if not given)"
)


def register(app: typer.Typer) -> None:
    """Add `simulate`, which is a command and a group of one, to the application."""
    group = typer.Typer()
    group.command(epilog="Example: millrace simulate shop data --events 100000")(shop)
    group.command(epilog="Example: millrace simulate sensors --sensors 1000 --rate 200")(sensors)
    group.command(epilog="Example: millrace simulate stock --items 200 --rate 20")(stock)
    group.command(epilog="Example: millrace simulate payments p.parquet --days 120")(payments)
    group.command(epilog="Example: millrace simulate orders data --visitors 500")(orders)
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
    _tell(
        folder,
        rows,
        f"millrace replay retail-rocket {folder / EVENTS} replays them",
        as_json=as_json,
    )


def orders(
    folder: Annotated[Path, typer.Argument(help="where the files go")],
    *,
    visitors: Annotated[int, typer.Option(min=1, help="how many there are")] = 2000,
    days: Annotated[int, typer.Option(min=1, help="how long they come")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="the same seed makes the same files")] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace files that are there")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the summary as JSON")] = False,
) -> None:
    """Write events of a shop with order fraud, and the truth about each order line.

    events.jsonl for `millrace produce shop-events`, truth.csv with the lines' ids and their fraud.
    """
    if not overwrite:
        refuse_present(folder)
    console = Console(stderr=True, quiet=as_json)
    with console.status(f"simulating {visitors:,} visitors"):
        shop = Shop(visitors=visitors, days=days, seed=seed)
        rows = write_orders(folder, OrderSimulator(shop).events())
    _tell(
        folder,
        rows,
        f"millrace produce shop-events --file {folder / ORDER_EVENTS} sends them",
        as_json=as_json,
    )


def _tell(folder: Path, rows: Mapping[str, int], following: str = "", *, as_json: bool) -> None:
    """Say which files were written, and what to type next."""
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "rows": dict(rows)}))
        return
    told = [f"{folder / name}: {number:,} rows" for name, number in rows.items()]
    typer.echo("\n".join([*told, following] if following else told))


def sensors(
    *,
    count: Annotated[int, typer.Option("--sensors", min=1, help="how many there are")] = 100,
    rate: Annotated[float, typer.Option(help="readings a second, of all together")] = 20.0,
    events: Annotated[int | None, typer.Option(min=1, help="only the first N readings")] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="as fast as it goes, whatever the rate says")
    ] = False,
    payments: Annotated[
        bool, typer.Option("--payments", help="amounts of payments instead, one in ten unusual")
    ] = False,
    files: Annotated[
        Path | None, typer.Option(help="write readings and truth into this folder, as JSON lines")
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="where to write what was done to which reading, without --files"),
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="the first day, UTC (now if not given)"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="the same seed makes the same readings")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="the summary as JSON")] = False,
) -> None:
    """Simulate readings of sensors, some wrong or unusual, and write down which.

    Without --events it goes on until it is stopped.
    """
    begin = int(start.replace(tzinfo=UTC).timestamp() * 1000) if start else now_ms()
    if rate > 1000 * count:
        raise UserError(f"--rate {rate:g}: a sensor makes at most 1000 readings a second")
    setting = Setting(count, rate, seed, begin, payments=payments)
    pace = pacer("max") if fast else RatePacer(rate)
    # A batch is waited for as a whole: a second of readings, or many of those as fast as it goes.
    size = max(1, min(20_000, 20_000 if fast else round(rate)))
    if files is not None:
        if events is None:
            raise UserError("--files needs --events: files have an end")
        rows = readings.write(files, Simulator(setting).chunks(20_000, events))
        _tell(files, rows, as_json=as_json)
        return
    beside = truth or settings().state_dir / "truth" / f"sensors-{seed}-{begin}.jsonl"
    beside.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with (
        beside.open("w") as file,
        streaming.kafka("millrace-simulate", paced=not fast) as (sink, codec),
        streaming.bar("readings", events, quiet=as_json) as report,
    ):
        chunks = Simulator(setting).chunks(size, events)
        made = readings.batches(chunks, codec.encoder(readings.TOPIC), file, live=not fast)

        def work() -> Summary:
            return run(made, sink, pace, None, report)

        summary = streaming.interruptible(work, f"what was done to the readings: {beside}")
    streaming.show(summary, time.monotonic() - started, as_json=as_json)
    if not as_json:
        typer.echo(f"what was done to which reading: {beside}")


def stock(
    *,
    items: Annotated[int, typer.Option(min=1, help="how many there are")] = 200,
    rate: Annotated[float, typer.Option(help="sales and movements a second")] = 20.0,
    events: Annotated[int | None, typer.Option(min=1, help="only the first N")] = None,
    seed: Annotated[int, typer.Option(min=0, help="the same seed makes the same stock room")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="the summary as JSON")] = False,
) -> None:
    """Simulate a stock room, beginning now: sales, deliveries, counts, and people's mistakes.

    Without --events it goes on until it is stopped. Items are called item-0, item-1 and so on.
    """
    pace = RatePacer(rate)
    room = StockRoom(Room(items, rate, seed, now_ms()))
    started = time.monotonic()
    with (
        streaming.kafka("millrace-simulate", paced=True) as (sink, codec),
        streaming.bar("stock", events, quiet=as_json) as report,
    ):
        made = stock_batches(islice(room.happenings(), events), codec, max(1, round(rate)))

        def work() -> Summary:
            return run(made, sink, pace, None, report)

        summary = streaming.interruptible(work, "the books stay as they are")
    streaming.show(summary, time.monotonic() - started, as_json=as_json)


def payments(
    file: Annotated[Path, typer.Argument(help="where they go: a name in .parquet or .csv")],
    *,
    customers: Annotated[int, typer.Option(min=1)] = 5000,
    terminals: Annotated[int, typer.Option(min=1)] = 10_000,
    days: Annotated[int, typer.Option(min=1, help="how many days of payments")] = 90,
    strikes: Annotated[float, typer.Option(min=0, help=_STRIKES)] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help=_SEED)] = 1,
    start: Annotated[datetime | None, _START] = None,
    kind: Annotated[
        Format, typer.Option("--format", help="sparkov: CSV with merchants, categories and places")
    ] = Format.HANDBOOK,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace a file that is there")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the summary as JSON")] = False,
) -> None:
    """Write simulated card payments with the truth about each, in the Handbook's columns.

    `millrace train fraud`, `evaluate fraud` and `replay transactions` read the file; one of
    --format sparkov only `evaluate fraud`, and it takes customers, days, strikes and seed alone.
    """
    if kind is Format.SPARKOV:
        rows = write_sparkov(
            file, Cards(customers, days, STOLEN_A_MONTH * strikes), seed, overwrite=overwrite
        )
        _wrote(file, rows, as_json=as_json)
        return
    simulator = _simulator(seed, customers, terminals, strikes, start)
    with stages("simulating") as stage:
        told = stage("days", days)

        def made() -> Iterator[list[Payment]]:
            for day in range(1, days + 1):
                yield simulator.day()
                told(day)

        rows = write_payments(file, made(), overwrite=overwrite)
    _wrote(file, rows, as_json=as_json)


def _wrote(file: Path, rows: int, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"file": str(file), "rows": rows}))
    else:
        typer.echo(f"{file}: {rows:,} payments")


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
    strikes: Annotated[float, typer.Option(min=0, help=_STRIKES)] = 1.0,
    rate: Annotated[
        float | None, typer.Option(help="payments a second (as fast as it goes if not given)")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help=_SEED)] = 1,
    start: Annotated[datetime | None, _START] = None,
    label_delay: Annotated[
        str, typer.Option(help="a verdict becomes known so long after the payment")
    ] = "7d",
    as_json: Annotated[bool, typer.Option("--json", help="the summary as JSON")] = False,
) -> None:
    """Simulate card payments and their verdicts as the Fraud Detection Handbook does.

    Without --days and --events it goes on until it is stopped. `millrace simulate shop` writes
    files of a shop's clicks instead, `millrace simulate sensors` sends readings of sensors.
    """
    if context.invoked_subcommand is not None:
        return
    simulator = _simulator(seed, customers, terminals, strikes, start)
    delay = streaming.duration_ms(label_delay)
    pace = RatePacer(rate) if rate is not None else pacer("max")

    def made_up() -> Iterator[Payment]:
        for _ in range(days) if days is not None else count():
            yield from simulator.day()

    started = time.monotonic()
    with (
        streaming.kafka("millrace-simulate", paced=rate is not None) as (sink, codec),
        streaming.bar("payments", events, quiet=as_json) as report,
    ):
        made = PaymentBatches(FraudEncoders.of(codec), delay).of(made_up(), events)

        def work() -> Summary:
            return run(made, sink, pace, None, report)

        summary = streaming.interruptible(work, "the same seed makes the same payments again")
    streaming.show(summary, time.monotonic() - started, as_json=as_json)


def _simulator(
    seed: int, customers: int, terminals: int, strikes: float, start: datetime | None
) -> Payments:
    first = int(start.replace(tzinfo=UTC).timestamp() * 1000) if start else HANDBOOK_START_MS
    return simulation(
        seed,
        customers=customers,
        terminals=terminals,
        radius=reach(terminals),
        start_ms=first,
        strikes=Strikes.of(customers, terminals, strikes),
    )

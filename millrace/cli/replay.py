"""Replay public data sets into Kafka at any speed: `millrace replay`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Protocol

import pyarrow as pa
import typer

from config.errors import UserError
from config.settings import settings
from ingestion.fraud.batches import TRANSACTIONS, FraudEncoders, PaymentBatches
from ingestion.fraud.handbook import Handbook
from ingestion.replay.batches import Batch
from ingestion.replay.pacing import pacer
from ingestion.replay.progress import Progress, fingerprint
from ingestion.replay.run import Summary, run
from ingestion.sensors import files as readings
from ingestion.sensors.files import ReadingsFile
from ingestion.sensors.tables import Table, metadata_table, outside_table
from ingestion.shop import chunks, items
from ingestion.shop.chunks import Chunk
from ingestion.shop.instacart import Instacart
from ingestion.shop.item_properties import Prices, Properties, Tree, changes
from ingestion.shop.olist import Olist
from ingestion.shop.online_retail import OnlineRetail
from ingestion.shop.retail_rocket import RetailRocket
from ingestion.wire.codec import Codec
from millrace import following, streaming

app = typer.Typer(
    help="Replay public data into Kafka. Interrupted, the same command goes on where it stopped.",
    no_args_is_help=True,
)

Speed = Annotated[str, typer.Option(help="max, or x1, x10 …: times as fast as it happened")]
Events = Annotated[int | None, typer.Option(min=1, help="only the first N rows")]
Restart = Annotated[bool, typer.Option("--restart", help="begin at the first row again")]
AsJson = Annotated[bool, typer.Option("--json", help="the summary as JSON")]


@app.command(
    epilog="Example: millrace replay transactions transactions.parquet --speed max --events 100000"
)
def transactions(
    path: Annotated[
        Path, typer.Argument(help="a parquet file, a daily pickle, or a folder of them")
    ],
    *,
    speed: Speed = "max",
    events: Events = None,
    label_delay: Annotated[
        str, typer.Option(help="a verdict becomes known so long after the payment")
    ] = "7d",
    labels: Annotated[bool, typer.Option(help="send verdicts, where the data have them")] = True,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Replay the Fraud Detection Handbook's data into `transactions`.

    Each verdict is sent at its own time, among the payments made by then.
    """
    source = Handbook(path)
    delay = streaming.duration_ms(label_delay)
    with_labels = labels and source.labelled

    def batches(codec: Codec) -> Iterable[Batch]:
        made = PaymentBatches(FraudEncoders.of(codec), delay, labels=with_labels)
        return made.of(source, events)

    progress = _progress(path, source.files, restart, TRANSACTIONS, str(delay), str(with_labels))
    _replay(path, batches, progress, speed, _total(source.count(), events), as_json=as_json)


@app.command(
    name="retail-rocket", epilog="Example: millrace replay retail-rocket events.csv --speed x1000"
)
def retail_rocket_events(
    path: Annotated[Path, typer.Argument(help="events.csv")],
    *,
    item_properties: Annotated[
        list[Path] | None,
        typer.Option(
            help="item_properties_part1.csv, … for prices, categories and availability; "
            "may be given several times"
        ),
    ] = None,
    category_tree: Annotated[
        Path | None, typer.Option(help="category_tree.csv, for the categories above an item's")
    ] = None,
    speed: Speed = "max",
    events: Events = None,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Replay Retail Rocket's events.csv into `shop-events`, in order of time.

    Item properties give prices, which are null without, and the records of `shop-items`.
    """
    files = [path, *(item_properties or []), *([category_tree] if category_tree else [])]
    _check_files(files)
    properties = Properties(item_properties or [])
    source = RetailRocket(path, Prices(properties))
    found = changes(properties, Tree(category_tree)) if item_properties else None
    _shop(path, source, found, files, Run(speed, events, restart, as_json))


@app.command(epilog="Example: millrace replay instacart FOLDER --anchor 2016-01-02 --speed x1000")
def instacart(
    path: Annotated[
        Path,
        typer.Argument(
            help="the folder of orders.csv and order_products__prior.csv or __train.csv; "
            "products.csv, aisles.csv and departments.csv give categories"
        ),
    ],
    *,
    anchor: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="the data have no dates: the day called 0 in the week of each user's first order",
        ),
    ] = datetime(2016, 1, 2),
    speed: Speed = "max",
    events: Events = None,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Replay Instacart's orders into `shop-events`: each line is put into the cart, then bought.

    --events counts order lines, each of which is two events.
    """
    moment = int(anchor.replace(tzinfo=UTC).timestamp() * 1000)
    source = Instacart(path, moment)
    given = Run(speed, events, restart, as_json)
    _shop(path, source, source.items(), source.files, given, str(moment))


@app.command(epilog="Example: millrace replay olist FOLDER --speed x10000")
def olist(
    path: Annotated[
        Path,
        typer.Argument(
            help="the folder of olist_orders_dataset.csv, olist_order_items_dataset.csv and, "
            "where given, the payments, customers and products"
        ),
    ],
    *,
    speed: Speed = "max",
    events: Events = None,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Replay Olist's order lines into `shop-events`."""
    source = Olist(path)
    given = Run(speed, events, restart, as_json)
    _shop(path, source, source.items(), source.files, given)


@app.command(
    name="online-retail", epilog="Example: millrace replay online-retail online_retail.csv"
)
def online_retail(
    path: Annotated[Path, typer.Argument(help="the workbook's sheet as CSV, or as parquet")],
    *,
    speed: Speed = "max",
    events: Events = None,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Replay UCI Online Retail's invoice lines into `shop-events`."""
    _check_files([path])
    source = OnlineRetail(path)
    given = Run(speed, events, restart, as_json)
    _shop(path, source, source.items(), source.files, given)


@app.command(epilog="Example: millrace replay sensors readings.jsonl --speed x10")
def sensors(
    path: Annotated[Path, typer.Argument(help="JSON lines, or CSV with a header (.csv)")],
    *,
    follow: Annotated[
        bool, typer.Option("--follow", help="PATH is a folder: send what comes into it, for ever")
    ] = False,
    speed: Speed = "max",
    events: Events = None,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Replay readings into `sensor-readings`, in the order of the file.

    Fields are those of a reading: sensor_id and timestamp, and any of value, temperature, humidity,
    pressure, location, status, asset_id, sensor_type, received_at. One without received_at counts
    as received with the newest before it, so old files are as fresh as they were.

    With --follow each file of the folder is read once it is at rest, and what is appended later.
    """
    if follow:
        if events or restart:
            raise UserError("--follow takes neither --events nor --restart")
        following.follow(path, speed, as_json=as_json)
        return
    source = ReadingsFile(path)

    def batches(codec: Codec) -> Iterable[Batch]:
        return source.batches(codec.encoder(readings.TOPIC), events)

    progress = _progress(path, [path], restart, readings.TOPIC)
    _replay(path, batches, progress, speed, _total(source.count(), events), as_json=as_json)


@app.command(name="sensor-metadata", epilog="Example: millrace replay sensor-metadata metadata.csv")
def sensor_metadata(
    path: Annotated[Path, typer.Argument(help="CSV with a header: scope, name, valid_from, …")],
    *,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Load versions of what is known of sensors and locations, the older ones first.

    Columns are scope (sensor or location), name, valid_from; location of a sensor; place, latitude
    and longitude of a location. Any other column is an attribute.
    """
    _table(metadata_table(path), Run("max", None, restart, as_json))


@app.command(epilog="Example: millrace replay outside weather.csv --speed x60")
def outside(
    path: Annotated[Path, typer.Argument(help="CSV with a header: place, event_time, values …")],
    *,
    speed: Speed = "max",
    events: Events = None,
    restart: Restart = False,
    as_json: AsJson = False,
) -> None:
    """Replay a series from outside, e.g. the weather, into `outside-series`, the oldest first.

    Each column beside place and event_time is a value; an empty cell says nothing.
    """
    _table(outside_table(path), Run(speed, events, restart, as_json))


def _table(table: Table, given: Run) -> None:
    def batches(codec: Codec) -> Iterable[Batch]:
        return table.batches(codec.encoder(table.topic), given.events)

    progress = _progress(table.path, [table.path], given.restart, table.topic)
    total = _total(table.count(), given.events)
    _replay(table.path, batches, progress, given.speed, total, as_json=given.as_json)


class Source(Protocol):
    """Rows of a shop's data, in order of time."""

    def count(self) -> int:
        """Return the number of rows."""
        ...

    def chunks(self, limit: int | None = None) -> Iterable[Chunk]:
        """Return the first `limit` rows (all if None)."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """The options that every source has."""

    speed: str
    events: int | None
    restart: bool
    as_json: bool


def _shop(
    path: Path,
    source: Source,
    found: pa.Table | None,
    files: list[Path],
    given: Run,
    *parameters: str,
) -> None:
    """Replay a shop's events, and what was found of its items among them."""

    def batches(codec: Codec) -> Iterable[Batch]:
        aside = None if found is None else items.Items(found, codec.encoder(items.TOPIC))
        return chunks.batches(source.chunks(given.events), codec.encoder(chunks.TOPIC), aside)

    progress = _progress(path, files, given.restart, chunks.TOPIC, *parameters)
    total = _total(source.count(), given.events)
    _replay(path, batches, progress, given.speed, total, as_json=given.as_json)


def _check_files(files: list[Path]) -> None:
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} is not a file")


def _progress(path: Path, files: list[Path], restart: bool, *parameters: str) -> Progress:
    progress = Progress(settings().state_dir, path.name, fingerprint(files, *parameters))
    if restart:
        progress.start()
    return progress


def _total(rows: int | None, limit: int | None) -> int | None:
    return limit if rows is None else min(rows, limit or rows)


def _replay(
    path: Path,
    batches: Callable[[Codec], Iterable[Batch]],
    progress: Progress,
    speed: str,
    total: int | None,
    *,
    as_json: bool,
) -> None:
    pace = pacer(speed)
    started = time.monotonic()
    with (
        streaming.kafka("millrace-replay", paced=speed != "max") as (sink, codec),
        streaming.bar(path.name, total, quiet=as_json) as report,
    ):

        def work() -> Summary:
            return run(batches(codec), sink, pace, progress, report)

        summary = streaming.interruptible(
            work, "the same command goes on from the last finished batch"
        )
    streaming.show(summary, time.monotonic() - started, as_json=as_json)
    if not summary.produced and summary.rejected and not summary.resumed_at:
        raise UserError(f"no row of {path} could be used: {summary.rejected_file} says why")

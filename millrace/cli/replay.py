"""Replay public data sets into Kafka at any speed: `millrace replay`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from config.errors import UserError
from config.settings import settings
from ingestion.fraud.batches import TRANSACTIONS, FraudEncoders, PaymentBatches
from ingestion.fraud.handbook import Handbook
from ingestion.replay.batches import Batch
from ingestion.replay.pacing import pacer
from ingestion.replay.progress import Progress, fingerprint
from ingestion.replay.run import Summary, run
from ingestion.shop import chunks
from ingestion.shop.item_properties import ITEMS_TOPIC, ItemChanges, Prices, Properties, Tree
from ingestion.shop.retail_rocket import RetailRocket
from ingestion.wire.codec import Codec
from millrace import streaming

app = typer.Typer(
    help="Replay public data into Kafka. Interrupted, the same command goes on where it stopped.",
    no_args_is_help=True,
)

Speed = Annotated[str, typer.Option(help="max, or x1, x10 …: times as fast as it happened")]
Events = Annotated[int | None, typer.Option(min=1, help="only the first N rows")]
Restart = Annotated[bool, typer.Option("--restart", help="begin anew, also after an interruption")]
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

    def batches(codec: Codec) -> Iterable[Batch]:
        encoder = codec.encoder(ITEMS_TOPIC)
        items = ItemChanges(properties, Tree(category_tree), encoder) if item_properties else None
        return chunks.batches(source.chunks(events), codec.encoder(chunks.TOPIC), items)

    progress = _progress(path, files, restart, chunks.TOPIC)
    _replay(path, batches, progress, speed, _total(source.count(), events), as_json=as_json)


def _check_files(files: list[Path]) -> None:
    for file in files:
        if not file.is_file():
            raise UserError(f"{file} is no file")


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

"""What the commands share that read or write streams.

The sink, progress on the terminal, the summary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from config.errors import UserError
from config.settings import settings
from ingestion.kafka.producer import KafkaSink
from ingestion.replay.run import Report, Summary
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry

T = TypeVar("T")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
INTERRUPTED = 130


def duration_ms(text: str) -> int:
    """Milliseconds of 7d, 12h, 30m, 45s or 250ms. Raises UserError."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text)
    if match is None:
        raise UserError(f"{text!r} is no duration: a number and ms, s, m, h or d")
    return int(match[1]) * _UNITS[match[2]]


@contextmanager
def kafka(client_id: str, *, paced: bool) -> Iterator[tuple[KafkaSink, Codec]]:
    """A sink into the configured Kafka and a codec on the configured registry.

    `paced`: records go out within a millisecond, not when a batch is full.
    """
    current = settings()
    overrides: dict[str, Any] = {"linger.ms": 1} if paced else {}
    with (
        Registry(current.registry_url) as registry,
        KafkaSink(current.kafka_bootstrap, client_id=client_id, **overrides) as sink,
    ):
        yield sink, Codec(registry)


@contextmanager
def bar(what: str, total: int | None, *, quiet: bool) -> Iterator[Report]:
    """A progress bar on standard error, so that standard output stays the result's."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rejected]}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(what, total=total, rejected="", speed="")

        def report(rows: int, rejected: int) -> None:
            speed = progress.tasks[0].speed
            progress.update(
                task,
                completed=rows,
                rejected=f"{rejected} rejected" if rejected else "",
                speed=f"{speed:,.0f}/s" if speed else "",
            )

        yield report


def counted(what: str, values: Iterable[T], *, quiet: bool) -> Iterator[T]:
    """The values; on a terminal standard error shows meanwhile how many went by, until they end."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f}"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=quiet or not console.is_terminal
    ) as progress:
        yield from progress.track(values, description=what)


def show(summary: Summary, seconds: float, *, as_json: bool) -> None:
    """The summary, as JSON on one line or as plain text."""
    sent = sum(summary.produced.values())
    rate = sent / seconds if seconds else 0.0
    if as_json:
        typer.echo(
            json.dumps(
                {
                    **summary.as_dict(),
                    "seconds": round(seconds, 3),
                    "events_per_second": round(rate),
                }
            )
        )
        return
    for topic, count in summary.produced.items():
        typer.echo(f"{topic}: {count:,}")
    typer.echo(f"{sent:,} events in {seconds:.1f} s, {rate:,.0f}/s")
    if summary.resumed_at:
        typer.echo(f"went on after row {summary.resumed_at:,}, where the last run was interrupted")
    if summary.rejected:
        typer.echo(f"{summary.rejected:,} rows rejected: {summary.rejected_file}")


def interruptible(run: Callable[[], Summary], hint: str) -> Summary:
    """Run; Ctrl-C ends with one line and exit code 130."""
    try:
        return run()
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {hint}", err=True)
        raise typer.Exit(INTERRUPTED) from None

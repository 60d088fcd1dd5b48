"""Share what commands that read or write streams need: sink, progress bar, summary."""

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
    """Return 7d, 12h, 30m, 45s or 250ms in milliseconds. Raise UserError for other text."""
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text)
    if match is None:
        raise UserError(f"{text!r} is not a duration: give a number and ms, s, m, h or d")
    return int(match[1]) * _UNITS[match[2]]


@contextmanager
def kafka(client_id: str, *, paced: bool) -> Iterator[tuple[KafkaSink, Codec]]:
    """Yield a sink into the configured Kafka and a codec on the configured registry.

    With `paced`, a record is sent within a millisecond instead of when a batch is full.
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
    """Show a progress bar on standard error; standard output is for the result."""
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
    """Yield the values; show their number on standard error if that is a terminal."""
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
    """Print the summary, as JSON on one line or as plain text."""
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
        typer.echo(f"resumed after row {summary.resumed_at:,}, where the last run was interrupted")
    if summary.rejected:
        typer.echo(f"{summary.rejected:,} rows rejected: {summary.rejected_file}")


def interruptible(run: Callable[[], Summary], hint: str) -> Summary:
    """Run; on Ctrl-C print one line and exit with code 130."""
    try:
        return run()
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {hint}", err=True)
        raise typer.Exit(INTERRUPTED) from None

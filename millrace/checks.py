"""Define `millrace lake checks`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.errors import UserError
from config.lake import lake_tables
from config.settings import Settings, settings
from config.topics import topics
from millrace.options import AsJson, logical
from millrace.stages import stages

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

    from lakehouse.quality.results import Result
    from lakehouse.quality.run import Window

METRICS = "metrics/data_quality.prom"
_CURRENT = timedelta(days=1)


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog="Example: millrace lake checks bronze.transactions --days 7")(checks)


def checks(
    names: Annotated[
        list[str] | None, typer.Argument(help="tables of bronze; all that are there if none")
    ] = None,
    *,
    topic: Annotated[
        str | None, typer.Option(help="instead: a sample of this topic, cell by cell")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="records of --topic")] = 1000,
    start: Annotated[
        str, typer.Option("--from", help="where the sample begins, as in `topics tail`")
    ] = "beginning",
    days: Annotated[
        int | None, typer.Option(min=1, help="rows of so many days of ingestion; all if not said")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="TIME",
            help="as of then, ISO 8601 with its zone: the end of --days, and what is fresh",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check what is declared beside the contracts; exit with 1 if anything but a warning fails.

    Results are kept in ops.data_quality, and, unless they are as of a day ago or longer, for
    Prometheus' textfile collector in metrics/data_quality.prom of the state folder.
    """
    from lakehouse.catalog import catalog
    from lakehouse.quality.results import export, keep
    from lakehouse.quality.run import Window

    now, lake = datetime.now(UTC) if at is None else logical(at), catalog(settings())
    if topic is not None:
        results = _sample(topic, sample, start)
    else:
        within = None if days is None else timedelta(days=days)
        results = examined(settings(), lake, names or [], Window(now, within))
    keep(lake, results, now)
    # A night's run is as of its logical date; what is older must not be told as current.
    if datetime.now(UTC) - now < _CURRENT:
        export(results, settings().state_dir / METRICS, now)
    _show(results, as_json=as_json)
    if any(one.stops for one in results):
        raise typer.Exit(1)


def examined(
    current: Settings, lake: Catalog, names: Sequence[str], window: Window
) -> list[Result]:
    """Return what the checks of tables find; of all of bronze if none is named.

    Raise UserError for a table that is not there.
    """
    from lakehouse.quality.run import of_table
    from lakehouse.query import connect
    from lakehouse.reading import chosen, tables

    known = {str(one): one.record for one in lake_tables(topics().values())}
    wanted = chosen(names, [name for name in tables(lake) if name in known])
    results: list[Result] = []
    with stages("checks") as stage:
        report = stage("tables", len(wanted))
        for done, name in enumerate(wanted, 1):
            with connect(current.lake_memory, current.lake_spill) as con:
                results += of_table(con, lake, name, known[name], window)
            report(done)
    return results


def _sample(name: str, size: int, start: str) -> list[Result]:
    from ingestion.kafka.tail import Start, Tail, reader
    from ingestion.wire.codec import Codec
    from ingestion.wire.registry import Registry
    from lakehouse.quality.run import of_sample

    if name not in topics():
        raise UserError(f"no topic is called {name!r}; there are: {', '.join(topics())}")
    records: dict[str, list[dict[str, Any]]] = {}
    consumer = reader(settings().kafka_bootstrap)
    with Registry(settings().registry_url) as registry:
        try:
            lines = Tail(consumer, Codec(registry), name, Start.parse(start)).lines(follow=False)
            for line in islice(lines, size):
                # What cannot be decoded is in quarantine, and counted there.
                if line.record is not None:
                    records.setdefault(line.name, []).append(line.record)
        finally:
            consumer.close()
    return [one for record, rows in records.items() for one in of_sample(name, record, rows)]


def _show(results: list[Result], *, as_json: bool) -> None:
    wrong = [one for one in results if not one.passed]
    stops = sum(one.stops for one in results)
    if as_json:
        body = {"failed": stops, "warnings": len(wrong) - stops}
        typer.echo(json.dumps({**body, "results": [one.as_dict() for one in results]}))
        return
    table = Table("subject", "check", "column", "level", "rows", "failed", "detail")
    for one in wrong:
        cells = (one.subject, one.check_name, one.field, one.level, f"{one.rows:,}")
        table.add_row(*cells, f"{one.failed:,}", Text(one.detail))
    if wrong:
        Console().print(table)
    passed = len(results) - len(wrong)
    typer.echo(f"{passed} checks passed, {stops} failed, {len(wrong) - stops} warned")

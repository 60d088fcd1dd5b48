"""Build what people read of the lake: `millrace marts`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.clock import now_ms
from config.settings import settings
from millrace.options import AsJson
from millrace.stages import stages

if TYPE_CHECKING:
    from lakehouse.marts.run import Outcome

app = typer.Typer(help="Silver and gold of the lake, by dbt.", no_args_is_help=True)


@app.command(epilog="Example: millrace marts build --json")
def build(
    *,
    select: Annotated[
        str | None, typer.Option(help="only these models, as dbt selects: +daily_payments")
    ] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="rebuild from bronze, not only what is new")
    ] = False,
    test: Annotated[bool, typer.Option(help="test what was built")] = True,
    as_json: AsJson = False,
) -> None:
    """Bring silver and gold up to date with bronze and test them; exit with 1 if anything fails.

    A second run writes nothing, unless rows have come. Models whose source is not there are left
    out, and named.
    """
    from lakehouse.marts.run import build as run

    with _progress("marts") as report:
        now = now_ms()
        options = {"full_refresh": full_refresh, "test": test}
        done = run(settings(), now, select=select, report=report, **options)
    _show(done, as_json=as_json)


@app.command(epilog="Example: millrace marts freshness")
def freshness(as_json: AsJson = False) -> None:
    """Say how old the newest row of each source is; exit with 1 if one is too old."""
    from lakehouse.marts.run import freshness as run

    with _progress("freshness") as report:
        done = run(settings(), report)
    _show(done, as_json=as_json)


@app.command(epilog="Example: millrace marts docs")
def docs(as_json: AsJson = False) -> None:
    """Write the models' documentation, one page to open in a browser, and print its path."""
    from lakehouse.marts.run import docs as run

    with _progress("docs") as report:
        page = run(settings(), report)
    typer.echo(json.dumps({"page": str(page)}) if as_json else page)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[str], None]]:
    done = 0
    with stages(what) as stage:
        report = stage(what, None)

        def one_more(name: str) -> None:
            nonlocal done
            del name
            done += 1
            report(done)

        yield one_more


def _show(done: Outcome, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(done.as_dict()))
    else:
        table = Table("what", "kind", "status", "seconds", "detail")
        for one in done.nodes:
            seconds = f"{one.seconds:.1f}"
            table.add_row(one.name, one.kind, one.status, seconds, Text(one.detail))
        Console().print(table)
        if done.missing:
            typer.echo(f"left out, as nobody has written them: {', '.join(done.missing)}", err=True)
    if done.failed:
        raise typer.Exit(1)

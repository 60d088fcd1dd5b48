"""Watch the shop's figures, and verify them by the lake: `millrace metrics`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from config.clock import now_ms
from config.errors import UserError
from config.settings import settings
from domain.shop.windows import HOUR_MS, WINDOWS
from domain.times import iso, nearest
from millrace import business
from millrace.cli.sql import moment_of
from millrace.options import AsJson
from millrace.streaming import INTERRUPTED

SHOWN, EVERY_S, FEWEST_S = 12, 2.0, 0.5
app = typer.Typer(help="The shop's figures: watch, verify.", no_args_is_help=True)
Length = Annotated[str, typer.Option(help="length of the windows: 1m, 5m or 1h")]


@app.command(epilog="Example: millrace metrics watch --window 1h")
def watch(
    *,
    window: Length = "1h",
    rows: Annotated[int, typer.Option(min=1, max=200, help="windows shown")] = SHOWN,
    every: Annotated[float, typer.Option(min=FEWEST_S, help="seconds between two looks")] = EVERY_S,
    as_json: AsJson = False,
) -> None:
    """Show the newest windows beside the same time of the days before, until stopped.

    What is outside its band is red, what was corrected is marked. With --json: one answer.
    """
    _known(window)
    windows = business.Windows(settings())

    def look() -> dict[str, Any]:
        return windows.page(window=window, limit=rows, top=3, band="true")

    if as_json:
        typer.echo(json.dumps(look(), indent=2))
        return
    console = Console()
    if not console.is_terminal:
        console.print(view(look()["windows"], window))
        return
    try:
        with Live(view(look()["windows"], window), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(every)
                live.update(view(look()["windows"], window), refresh=True)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


@app.command(
    epilog="Example: millrace metrics verify --window 5m --from 2026-05-01 --to 2026-05-02"
)
def verify(
    *,
    window: Length = "1h",
    since: Annotated[
        str | None, typer.Option("--from", help="first window, ISO 8601; default: a day before")
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="windows that begin before; default: an hour ago")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count the windows again from the lake's events and compare every figure, exactly.

    Exit code 1 if one differs. The lake gets records with its job's checkpoints, so leave its
    newest minutes out.
    """
    from lakehouse.business import windows as query
    from lakehouse.catalog import catalog
    from lakehouse.query import ask, connect

    length = _known(window)
    last = _bound(to, length, now_ms() - HOUR_MS)
    first = _bound(since, length, last - 24 * HOUR_MS)
    if first >= last:
        raise UserError("--from must be before --to")
    current = settings()
    told = business.by_start(business.Windows(current).between(window, iso(first), iso(last)))
    with (
        connect(current.lake_memory, current.lake_spill) as con,
        Console(stderr=True).status("counting"),
    ):
        answer = ask(con, catalog(current), query(length, between=(first, last)))
        found = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    counted = {row["window_start"]: row for row in found}
    wrong = business.differences(told, counted)
    _tell(window, len(told.keys() | counted.keys()), wrong, as_json=as_json)
    if wrong:
        raise typer.Exit(1)


def _known(window: str) -> int:
    if window not in WINDOWS:
        raise UserError(f"--window is {', '.join(WINDOWS)}, not {window!r}")
    return WINDOWS[window]


def _bound(text: str | None, length: int, default: int) -> int:
    """Return the start of the window that a time lies in, in ms."""
    when = default if text is None else nearest(moment_of(text))
    return when // length * length


def _tell(window: str, count: int, wrong: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        shown = [{**one, "window_start": iso(one["window_start"])} for one in wrong]
        body = {"window": window, "windows": count, "equal": not wrong, "differences": shown}
        typer.echo(json.dumps(body, indent=2))
        return
    typer.echo(f"{count} windows of {window}: {len(wrong) or 'no'} differences")
    for one in wrong[:20]:
        place = iso(one["window_start"])
        typer.echo(f"{place} {one['figure']}: told {one['told']}, in the lake {one['lake']}")
    if len(wrong) > 20:
        typer.echo(f"and {len(wrong) - 20} more: --json has all")


def view(windows: Sequence[Mapping[str, Any]], window: str) -> RenderableType:
    """Render windows as they stand, the newest first."""
    table = Table(
        title=f"The shop by windows of {window}",
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
    )
    for name in ("from", "orders", "GMV", "usual", "AOV", "active", "path", "fraud"):
        table.add_column(name, justify="left" if name == "from" else "right", no_wrap=True)
    table.add_column("corrected", no_wrap=True)
    for one in windows:
        table.add_row(*_row(one))
    if not windows:
        return Group(table, Text("no window yet: nothing has happened in the shop"))
    best = ", ".join(f"{item['item_id']} ({item['units']})" for item in windows[0]["top_items"])
    return Group(table, Text(f"best sellers of the newest: {best or 'none'}"))


def _row(one: Mapping[str, Any]) -> list[Text]:
    bands = one["band"] or {}
    minor, path = bands.get("gmv_minor"), bands.get("path_conversion")
    notes = [] if one["closed"] else ["open"]
    if one["revision"]:
        notes.append(f"was {one['shown']['gmv_minor'] / 100:,.2f}")
    return [
        Text(one["window_start"][5:16].replace("T", " ")),
        Text(f"{one['orders']:,}"),
        Text(f"{one['gmv']:,.2f}", _style(one["gmv_minor"], minor, closed=one["closed"])),
        Text("-" if minor is None else f"{minor['low'] / 100:,.0f}-{minor['high'] / 100:,.0f}"),
        Text("-" if one["average_order_value"] is None else f"{one['average_order_value']:,.2f}"),
        Text(f"{one['active_visitors']:,}"),
        Text(
            _percent(one["path_conversion"]),
            _style(one["path_conversion"], path, closed=one["closed"]),
        ),
        Text(_percent(one["fraud_rate"])),
        Text(", ".join(notes)),
    ]


def _style(value: float | None, about: Mapping[str, Any] | None, *, closed: bool) -> str:
    """Return red for what is outside its band; an open window is below it for a while."""
    if value is None or about is None:
        return ""
    below = closed and value < about["low"]
    return "bold red" if below or value > about["high"] else "green"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"

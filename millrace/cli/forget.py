"""Remove a person: `millrace forget`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.errors import UserError
from config.settings import settings
from millrace.options import AsJson

if TYPE_CHECKING:
    from millrace.forgetting import Forgotten

_COUNTS = ("rows", "snapshots", "files")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: millrace forget c-7 --yes")(forget)


def forget(
    customer_id: Annotated[str, typer.Argument(help="who pays, as payments name them")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a customer from Redis, lists, the lake with its past, quarantine and training sets.

    Tables that have held the customer lose their older snapshots, and marts are made anew. Says
    what remains where, and until when. Exit code 1 if a part was away: type it again.
    """
    from millrace.forgetting import forget as run

    if not customer_id:
        raise UserError("an empty id is nobody's")
    if not yes:
        if as_json:
            raise UserError("with --json say --yes, too: nobody would see the question")
        typer.confirm(f"remove {customer_id!r} for good, with the past of its tables?", abort=True)
    with Console(stderr=True).status("looking") as status:
        done = run(settings(), customer_id, status.update)
    if as_json:
        typer.echo(json.dumps(done.as_dict(), indent=2, ensure_ascii=False))
    else:
        _show(done)
    if done.failed:
        raise typer.Exit(1)


def _show(done: Forgotten) -> None:
    console = Console()
    if done.redis is not None:
        console.print(Text(f"Redis: {done.redis['keys']} keys removed"))
    if done.lists is not None:
        console.print(Text(f"lists: {done.lists} entries removed"))
    if done.lake:
        table = Table("table", "rows removed", "snapshots expired", "files removed")
        for one in done.lake:
            table.add_row(one["table"], *(f"{one[name]:,}" for name in _COUNTS))
        console.print(table)
    else:
        console.print(Text("lake: no table has the customer"))
    console.print(Text(f"training sets: {len(done.frames)} removed"))
    for words in done.failed:
        console.print(Text(f"failed: {words}", style="red"))
    console.print(Text("what remains where", style="bold"))
    for left in done.remains:
        until = f"until {left.until}" if left.until else "until somebody removes it"
        console.print(Text(f"{left.where}: {left.what} ({until})"))

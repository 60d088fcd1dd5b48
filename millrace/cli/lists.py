"""Block or trust customers and terminals, by the running API: `millrace lists`."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from typing import Annotated, Any, get_args
from urllib.parse import quote, urlencode

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.errors import UserError
from config.settings import settings
from domain.events import FraudEntity, FraudList
from domain.times import iso, nearest
from millrace.options import AsJson, logical
from millrace.stack import api

LISTS, KINDS = get_args(FraudList), get_args(FraudEntity)
PAGE = 1000

app = typer.Typer(
    help="Lists of blocked and trusted customers and terminals: show, add, remove.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="LIST", help=" or ".join(LISTS))]
Kind = Annotated[str, typer.Argument(metavar="KIND", help=" or ".join(KINDS))]
Entity = Annotated[str, typer.Argument(metavar="ID", help="the customer or terminal")]


@app.command(epilog="Example: millrace lists show blocked terminal --json")
def show(name: Name, kind: Kind, as_json: AsJson = False) -> None:
    """Show who is on a list, in the order of ids."""
    found = list(_entries(_path(name, kind)))
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    if found:
        table = Table(box=None, header_style="bold")
        for heading in ("id", "since", "until", "by", "note"):
            table.add_column(heading, overflow="fold")
        for one in found:
            cells = (one["id"], one["since"], one["until"] or "for good", one["by"], one["note"])
            table.add_row(*map(Text, cells))
        Console().print(table)
    typer.echo(f"{len(found)} {kind}s are {name}")


@app.command(
    epilog="Example: millrace lists add blocked terminal t-3 --until 2026-06-01 --note skimmed"
)
def add(
    name: Name,
    kind: Kind,
    entity: Entity,
    *,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="when it leaves by itself, ISO 8601; default: never"),
    ] = None,
    by: Annotated[str | None, typer.Option(help="who does it; default: the user")] = None,
    note: Annotated[str, typer.Option(help="why, in words")] = "",
    as_json: AsJson = False,
) -> None:
    """Put an entity on a list, or replace its entry; scorers know it within a second."""
    path = _path(name, kind)
    end = None if until is None else iso(nearest(logical(until, "--until")))
    body = {"id": entity, "until": end, "by": _user() if by is None else by, "note": note}
    made = api.answered(settings(), path, "POST", body)
    if as_json:
        typer.echo(json.dumps(made, ensure_ascii=False))
    else:
        typer.echo(f"{kind} {entity} is {name} " + (f"until {end}" if end else "for good"))


@app.command(epilog="Example: millrace lists remove blocked terminal t-3")
def remove(name: Name, kind: Kind, entity: Entity, as_json: AsJson = False) -> None:
    """Take an entity off a list; one that is not on it stays off."""
    api.answered(settings(), f"{_path(name, kind)}/{quote(entity, safe='')}", "DELETE")
    if as_json:
        typer.echo(json.dumps({"list": name, "kind": kind, "id": entity}, ensure_ascii=False))
    else:
        typer.echo(f"{kind} {entity} is not {name}")


def _path(name: str, kind: str) -> str:
    for said, known, what in ((name, LISTS, "LIST"), (kind, KINDS, "KIND")):
        if said not in known:
            raise UserError(f"{what} is {' or '.join(known)}, not {said!r}")
    return f"/v1/fraud/lists/{name}/{kind}"


def _entries(path: str) -> Iterator[dict[str, Any]]:
    after: str | None = ""
    while after is not None:
        query = urlencode({"limit": PAGE, "after": after})
        page = api.answered(settings(), f"{path}?{query}")
        yield from page["entries"]
        after = page["next"]


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return ""

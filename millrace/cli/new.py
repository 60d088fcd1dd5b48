"""Write skeletons: `millrace new`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from config.settings import settings
from millrace.new.product import Record, new_product
from millrace.options import AsJson

app = typer.Typer(help="Write the skeleton of something of your own.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Write the skeleton of something of your own."""


@app.command(epilog="Example: millrace new product parcels --path .")
def product(  # noqa: PLR0917 - one for each option of the command
    name: Annotated[str, typer.Argument(help="small letters, digits and _")],
    path: Annotated[
        Path, typer.Option(help="folder in which the product's folder is made")
    ] = Path(),
    record: Annotated[
        Path | None, typer.Option(help="an Avro schema of your own; a plain one without")
    ] = None,
    key: Annotated[
        str, typer.Option(help="its field that says whom an event is about")
    ] = "entity_id",
    time: Annotated[str, typer.Option(help="its field with the event's time")] = "event_time",
    id_: Annotated[str, typer.Option("--id", help="its field with the event's id")] = "event_id",
    as_json: AsJson = False,
) -> None:
    """Write a product that runs: contract, topics, features, job, consumer, route, test.

    docs/your-own.md goes on from there.
    """
    own = None
    if record is not None:
        own = Record.of(record.read_text(encoding="utf-8"), key, time, id_)
    folder = (path / name).resolve()
    files = new_product(name, folder, own, settings())
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "files": [str(file) for file in files]}))
        return
    for file in files:
        typer.echo(str(file.relative_to(folder.parent)))
    path_of = shlex.quote(str(folder))
    typer.echo(f"\nexport MILLRACE_PRODUCTS_PATH={path_of}\nmillrace up --only {name}")

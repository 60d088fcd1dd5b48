"""List, promote, roll back and compare models: `millrace model`."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from config.settings import settings
from millrace.cli.measuring import quality
from millrace.cli.shadowing import shadow
from millrace.options import AsJson
from millrace.retraining import follow
from millrace.stack.layout import Layout

if TYPE_CHECKING:
    from orchestration.shelf.store import Store

app = typer.Typer(help="Models: list, promote, roll back, compare, measure.", no_args_is_help=True)
app.command(epilog="Example: millrace model shadow fraud latest")(shadow)
app.command(epilog="Example: millrace model quality fraud --since 2026-05-01 --json")(quality)

ProductName = Annotated[str, typer.Argument(metavar="PRODUCT", help="whose model, e.g. fraud")]


@app.command("list", epilog="Example: millrace model list fraud --json")
def list_models(
    product: Annotated[
        str | None, typer.Argument(metavar="[PRODUCT]", help="only this product's")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the published models, the newest last.

    One is `current`; `promoted` ones before it score rows of older features; what is `withdrawn` or
    only `published` scores nothing, unless it is the `shadow` beside the current one. Where a
    consumer runs and does not take up the current model, its reason follows. `run` is MLflow's, of
    a model that a retraining made.
    """
    stores = [_store(product)] if product else list(_stores().values())
    found = []
    for store in stores:
        waiting = _waiting(store.product)
        for one in store.listed():
            shown = {"product": store.product, **asdict(one), "published": _time(one.published)}
            shown["run"] = "" if one.trouble else _run(store, one.version)
            found.append({**shown, "waiting": waiting if one.state == "current" else ""})
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif found:
        _show(found)
        for line in [
            f"{one['product']} waits: {one['waiting']}" for one in found if one["waiting"]
        ]:
            typer.echo(line)
    else:
        typer.echo("no models: `millrace train fraud --simulate --promote` makes one")


@app.command(epilog="Example: millrace model promote fraud latest")
def promote(
    product: ProductName,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="as `model list` shows it, or `latest`")
    ],
    as_json: AsJson = False,
) -> None:
    """Make a model current: a running consumer takes it up within a second."""
    store = _store(product)
    now, before = store.promote(version)
    follow(settings(), product)
    if as_json:
        typer.echo(json.dumps({"product": product, "version": now, "before": before}))
    elif now == before:
        typer.echo(f"{product}: {now} is current already")
    else:
        typer.echo(f"{product}: {now} is current" + (f", before {before}" if before else ""))


@app.command(epilog="Example: millrace model rollback fraud")
def rollback(product: ProductName, as_json: AsJson = False) -> None:
    """Withdraw the current model and go back to the one that was current before.

    A withdrawn model scores nothing until it is promoted again. Typed again, it goes back one more.
    """
    store = _store(product)
    now, withdrawn = store.rollback()
    follow(settings(), product)
    if as_json:
        typer.echo(json.dumps({"product": product, "version": now, "withdrawn": withdrawn}))
        return
    typer.echo(f"{product}: {now} is current again, {withdrawn} is withdrawn")


def _stores() -> dict[str, Store]:
    from orchestration.shelf.store import Store

    folder = Layout.of(settings()).models
    return {path.name: Store(path) for path in sorted(folder.glob("*")) if path.is_dir()}


def _store(product: str) -> Store:
    stores = _stores()
    if product not in stores:
        known = f"; there are models of: {', '.join(stores)}" if stores else " yet"
        raise UserError(f"no models of {product!r}{known}")
    return stores[product]


def _waiting(product: str) -> str:
    """Return what the product's running consumers wait for, in their words."""
    from config.products import products
    from millrace.stack import probes
    from millrace.stack.process import health

    loaded = settings()
    ports = [
        consumer.port + loaded.port_offset
        for one in products(loaded)
        if one.name == product
        for consumer in one.consumers
    ]
    return "; ".join(why for port in ports for why in probes.reasons(health(loaded, port)))


def _run(store: Store, version: str) -> str:
    """Return the id of the run in MLflow that a model's card names."""
    return str(store.card(version).details.get("retraining", {}).get("mlflow_run", ""))


def _time(published: int | None) -> str | None:
    if published is None:
        return None
    return datetime.fromtimestamp(published / 1000, UTC).isoformat(timespec="seconds")


def _show(found: list[dict[str, Any]]) -> None:
    table = Table(box=None, header_style="bold")
    for heading in ("product", "version", "state", "kind", "features", "published", "run"):
        table.add_column(heading, no_wrap=True)
    for one in found:
        table.add_row(
            one["product"],
            one["version"],
            "damaged" if one["trouble"] else "shadow" if one["shadow"] else one["state"],
            one["kind"],
            one["feature_set_version"],
            one["published"] or "",
            one["run"],
        )
    Console().print(table)

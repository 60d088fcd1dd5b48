"""Let a model score beside the current one, and report how they differ: `millrace model shadow`."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from config.settings import settings
from domain.features.words import percent
from domain.times import nearest
from millrace.options import AsJson, logical
from millrace.stack.layout import Layout

if TYPE_CHECKING:
    from orchestration.shelf.store import Store

PRODUCTS = ("fraud",)
"""Products whose consumer scores by a challenger, too."""


def shadow(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="whose model: fraud")],
    version: Annotated[
        str | None,
        typer.Argument(metavar="[VERSION]", help="as `model list` shows it, or `latest`"),
    ] = None,
    *,
    off: Annotated[bool, typer.Option("--off", help="let nothing score beside")] = False,
    report: Annotated[bool, typer.Option("--report", help="say how the two differ")] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="report: payments from then on, ISO 8601"),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="report: payments before then")
    ] = None,
    lake: Annotated[
        bool, typer.Option("--lake", help="report: from the lake instead of Kafka")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let a challenger score every payment beside the current model, and decide nothing.

    A running consumer takes it up within a second; what it says goes to `fraud-shadow-scores`.
    Without VERSION and options: say which model does. `--report` compares the two by decision and,
    where verdicts are known, by precision and recall.
    """
    if product not in PRODUCTS:
        raise UserError(f"nothing of {product!r} scores beside a model; it is: {PRODUCTS[0]}")
    if (version is not None) + off + report > 1:
        raise UserError("one at a time: VERSION, --off, --report")
    if not report and (since or until or lake):
        raise UserError("--since, --until and --lake belong to --report")
    if report:
        _report(since, until, lake=lake, as_json=as_json)
    else:
        _set(product, version, off=off, as_json=as_json)


def _set(product: str, version: str | None, *, off: bool, as_json: bool) -> None:
    store = _store(product)
    if off:
        now, before = None, store.unchallenged()
    elif version is not None:
        now, before = store.challenge(version)
    else:
        now = before = store.shadow()
    if as_json:
        typer.echo(json.dumps({"product": product, "shadow": now, "before": before}))
    elif now is None:
        typer.echo(f"{product}: nothing scores beside" + (f", before {before}" if before else ""))
    else:
        other = f", before {before}" if before and before != now else ""
        typer.echo(f"{product}: {now} scores beside {store.current() or 'no model'}{other}")


def _store(product: str) -> Store:
    from orchestration.shelf.store import Store

    folder = Layout.of(settings()).models / product
    if not folder.is_dir():
        raise UserError(f"no models of {product!r} yet")
    return Store(folder)


def _report(since: str | None, until: str | None, *, lake: bool, as_json: bool) -> None:
    from millrace.retraining import ask_lake
    from millrace.shadowed import from_topics, reading
    from orchestration.fraud.shadowed import Asked, compare, from_lake

    loaded = settings()
    asked = Asked(
        None if since is None else nearest(logical(since, "--since")),
        None if until is None else nearest(logical(until, "--until")),
    )
    with Console(stderr=True).status("reading"):
        records, verdicts = (
            from_lake(partial(ask_lake, loaded), asked)
            if lake
            else from_topics(loaded, asked.since, reading(loaded))
        )
        found = compare(records, verdicts, asked)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for one in found:
        _show(one)
    if not found:
        typer.echo("no payment was scored by a challenger: millrace model shadow fraud VERSION")


def _show(one: dict[str, Any]) -> None:
    typer.echo(
        f"{one['challenger']} beside {one['champion']}: {one['payments']:,} payments from "
        f"{one['first']} to {one['last']}"
    )
    typer.echo(
        f"{one['differing']:,} decisions would differ ({one['share_differing']:.2%}); scores "
        f"{one['mean_absolute_difference']:.4f} apart on average, "
        f"{one['greatest_difference']:.4f} at most"
    )
    table = Table(box=None, header_style="bold")
    for heading in ("champion", "challenger", "payments", "judged", "frauds"):
        table.add_column(heading, justify="left" if heading in one else "right")
    for row in one["decisions"]:
        counts = (f"{row[name]:,}" for name in ("payments", "judged", "frauds"))
        table.add_row(row["champion"], row["challenger"], *counts)
    console = Console()
    console.print(table)
    typer.echo(f"{one['judged']:,} have a verdict, {one['frauds']:,} are fraud")
    table = Table(box=None, header_style="bold")
    table.add_column("")
    for heading in ("flagged", "precision", "recall", "blocked", "precision", "recall", "AP"):
        table.add_column(heading, justify="right")
    for side, quality in one["quality"].items():
        cells = [
            cell
            for part in ("flagged", "blocked")
            for cell in (
                f"{quality[part]['payments']:,}",
                *(_share(quality[part][name]) for name in ("precision", "recall")),
            )
        ]
        precision = quality["average_precision"]
        table.add_row(side, *cells, "-" if precision is None else f"{precision:.4f}")
    console.print(table)


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)

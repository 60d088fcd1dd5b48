"""Show declared features, to people and programs: `millrace features`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from config.errors import UserError
from config.products import feature_modules
from config.settings import settings
from domain.features.declaration import Comparison, DerivedFeature, RowFeature
from domain.features.registry import feature_sets, tables, versions
from millrace.options import AsJson
from millrace.stack.layout import Layout

app = typer.Typer(help="The features declared in domain/features.", no_args_is_help=True)


def declared() -> list[dict[str, Any]]:
    """Return every feature of every product: row features first, then each set's, in order."""
    found: list[dict[str, Any]] = []
    modules = feature_modules()
    known = versions(modules)
    for table in tables(modules):
        common = {"product": table.name, "version": known[table.name]}
        importance = _importance(table.name, known[table.name])
        made = [common | _of_sql(row, "row") for row in table.rows]
        for feature_set in table.sets:
            types = feature_set.columns()
            for feature in feature_set.features:
                made.append(
                    common
                    | {
                        "name": feature.name,
                        "entity": feature_set.entity,
                        "aggregate": feature.aggregate,
                    }
                    | {"window": feature.window, "column": feature.column}
                    | {"filter": [comparison.spec() for comparison in feature.filter]}
                    | {"condition": [comparison.spec() for comparison in feature.condition]}
                    | {"type": types[feature.name], "description": feature.description, "sql": None}
                )
        made += [common | _of_sql(derived, "derived") for derived in table.derived]
        found += [one | {"importance": importance.get(one["name"])} for one in made]
    return found


def _importance(product: str, version: str) -> Mapping[str, float]:
    """Return each feature's share of the gain in the current model, if it reads this version.

    A model that cannot be read, or gives no importance, says nothing.
    """
    from orchestration.shelf.card import UnusableModelError
    from orchestration.shelf.store import Store

    store = Store(Layout.of(settings()).current_model(product).parent)
    current = store.current()
    if current is None:
        return {}
    try:
        card = store.card(current)
    except UnusableModelError:
        return {}
    matches = card.feature_set_version == version
    return card.details.get("importance", {}) if matches else {}


def _of_sql(feature: RowFeature | DerivedFeature, kind: str) -> dict[str, Any]:
    return {
        "name": feature.name,
        "entity": "row",
        "aggregate": kind,
        "window": None,
        "column": None,
        "filter": [],
        "condition": [],
        "type": feature.type,
        "description": feature.description,
        "sql": feature.sql,
    }


def _text(comparisons: list[dict[str, Any]]) -> str:
    parts = []
    for item in comparisons:
        value = item.get("value")
        parts.append(
            Comparison(
                item["column"], item["op"], tuple(value) if isinstance(value, list) else value
            ).text()
        )
    return " and ".join(parts)


@app.command("list", epilog="Example: millrace features list --json")
def list_features(as_json: AsJson = False) -> None:
    """List every feature: name, entity, aggregate, window, filter, importance, description.

    The importance is the feature's share of the gain in the current model; it is empty for one that
    the model does not read, and without a model of the present declaration.
    """
    found = declared()
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    shown = Table(box=None, header_style="bold")
    for heading in ("feature", "entity", "aggregate", "window", "rows", "importance"):
        shown.add_column(heading, no_wrap=True)
    shown.add_column("meaning", min_width=30)
    for feature in found:
        what = (
            f"{feature['aggregate']}({feature['column']})"
            if feature["column"]
            else feature["aggregate"]
        )
        rows = _text(feature["filter"]) or "all"
        shown.add_row(
            feature["name"],
            feature["entity"],
            what,
            feature["window"] or "",
            rows,
            "" if feature["importance"] is None else f"{feature['importance']:.1%}",
            feature["description"],
        )
    Console().print(shown)


@app.command(epilog="Example: millrace features show customer_ratio_30d")
def show(
    name: Annotated[str, typer.Argument(help="a feature's name")], as_json: AsJson = False
) -> None:
    """Show all that is declared of one feature."""
    found = [feature for feature in declared() if feature["name"] == name]
    if not found:
        raise UserError(f"no feature named {name!r}: `millrace features list` names them all")
    if as_json:
        typer.echo(json.dumps(found[0], indent=2, ensure_ascii=False))
        return
    shown = Table(box=None, show_header=False)
    for key, value in found[0].items():
        text = _text(value) if isinstance(value, list) else value
        if text is not None and text != "":
            shown.add_row(key, str(text))
    Console().print(shown)


@app.command(epilog="Example: millrace features spec customer")
def spec(name: Annotated[str, typer.Argument(help="a feature set, e.g. customer")]) -> None:
    """Print the argument that `rolling` gets for a feature set (docs/rolling.md)."""
    sets = feature_sets(feature_modules())
    if name not in sets:
        raise UserError(f"no feature set named {name!r}; there are: {', '.join(sorted(sets))}")
    typer.echo(json.dumps(sets[name].spec(), indent=2, ensure_ascii=False))

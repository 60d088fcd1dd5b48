"""Show where a decision comes from: `millrace explain`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import settings
from domain.fraud.features import FRAUD
from millrace.options import AsJson

if TYPE_CHECKING:
    from millrace.explaining import Explanation

_COLUMNS = 2
_OF_A_VECTOR = ("order_partition", "order_sequence", "late", "feature_set_version")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: millrace explain tx-42 --json")(explain)


def explain(
    transaction_id: Annotated[str, typer.Argument(help="a payment's id")], as_json: AsJson = False
) -> None:
    """Walk back from a decision to the event, the features, the model and what it learnt from.

    From the lake; what it lacks, from Redis and Kafka. What was not found is said.
    """
    from millrace.explaining import explain as found_of

    with Console(stderr=True).status("looking"):
        found = found_of(settings(), transaction_id)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), indent=2, ensure_ascii=False))
    else:
        _show(found)


def _show(found: Explanation) -> None:
    console = Console()
    for heading, one in (("payment", found.payment), *(("verdict", one) for one in found.verdicts)):
        _section(console, heading, one, _fields(one))
    if found.vector is not None:
        record = found.vector["record"]
        rows = [(name, _text(record[name])) for name in _OF_A_VECTOR if name in record]
        if "recomputed" in found.vector:
            rows.append(("recomputed", found.vector["recomputed"]))
        _section(console, "features", found.vector, rows)
        console.print(_values({name: record.get(name) for name in FRAUD.model}))
    score = found.score
    _section(console, "decision", score, _fields(score))
    if found.model is not None:
        _section(console, "model", {}, _of_model(found.model))
    for words in found.missing:
        console.print(Text(f"missing: {words}", style="yellow"))


def _section(
    console: Console, heading: str, one: Mapping[str, Any] | None, rows: Iterable[tuple[str, str]]
) -> None:
    if one is None:
        return
    place = ""
    if "topic" in one:
        place = f"{one['topic']}/{one['partition']} at {one['offset']}, {one['time']}"
    repeats = f", told {one['repeats']} more times" if one.get("repeats") else ""
    source = f" ({one['source']})" if "source" in one else ""
    console.print(Text(f"{heading}  ", style="bold").append(place + repeats + source, "not bold"))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=20)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(f"  {name}"), Text(value))
    console.print(grid)


def _fields(one: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return [] if one is None else [(name, _text(value)) for name, value in one["record"].items()]


def _values(record: Mapping[str, Any]) -> Table:
    """Return the fields of a vector side by side, so that they fit on a page."""
    grid = Table.grid(padding=(0, 2))
    for _ in range(_COLUMNS):
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
    cells = [(name, _text(value)) for name, value in record.items()]
    rows = -(-len(cells) // _COLUMNS)
    for row in range(rows):
        line: list[Text] = []
        for name, value in cells[row::rows]:
            line += [Text(f"  {name}"), Text(value)]
        grid.add_row(*line)
    return grid


def _of_model(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    split, data = model["split"], model["data"]
    rows = [
        (
            "version",
            f"{model['version']} ({model['state'] or 'not on the shelf'}, {model['kind']})",
        ),
        ("features", model["feature_set_version"]),
        ("thresholds", _text(model["rules"]["thresholds"])),
        ("MLflow run", model["mlflow_run"] or "-"),
        ("logical date", model["logical_date"] or "-"),
        ("data", f"{data.get('source', '-')}, {data.get('rows', '-')} rows"),
        ("digest of the rows", data.get("digest", "-")),
    ]
    rows += [(f"  {name}", f"{part['from']} to {part['to']}") for name, part in split.items()]
    rows += [(f"  {table}", f"snapshot {one}") for table, one in model["snapshots"].items()]
    return rows


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items())
    return "-" if value is None else str(value)

"""Say what is checked of a record: what its contract says, and what is declared beside it.

`ingestion/schema/checks/<Record>.yaml` may hold

- `ranges`: by column `least` and `most`, both inclusive;
- `unique`: `columns`, and the `share` of rows that may repeat another (redelivered records do);
- `references`: a `column` whose values the same column of `table` has, but for a `share` of rows;
- `freshness`: how many `hours` ago the newest row may have been ingested;
- `volume`: the rows of the newest whole day as parts of the median of the days before, `least` to
  `most`.

Each may say `level: warning`: then it is told and stops nothing. From the contract follow the types
of columns, which are never null, the least length of a text and the symbols of an enum; numbers
shall be finite.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from config.errors import UserError
from config.files import mapping
from ingestion import schema

FOLDER = Path(schema.__file__).parent / "checks"
Level = Literal["error", "warning"]
_NUMBERS = {"int": "int32", "long": "int64", "float": "float", "double": "double"}
_OTHERS = {"string": "string", "boolean": "bool", "bytes": "binary", "enum": "string"}


@dataclass(frozen=True, slots=True)
class Column:
    """What is checked of each cell of a column; `kind` is Arrow's name of its type."""

    name: str
    kind: str
    nullable: bool
    least_length: int = 0
    symbols: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """A check of a whole table: its numbers, the share of rows that may fail, how bad it is."""

    columns: tuple[str, ...] = ()
    table: str = ""
    share: float = 0.0
    hours: float = 0.0
    least: float = 0.0
    most: float = 0.0
    level: Level = "error"


@dataclass(frozen=True, slots=True)
class Checks:
    """All checks of a record."""

    record: str
    columns: tuple[Column, ...]
    time: str | None = None
    unique: Bound | None = None
    freshness: Bound | None = None
    volume: Bound | None = None
    references: tuple[Bound, ...] = field(default=())


def checks(record: str, folder: Path = FOLDER) -> Checks:
    """Return what is checked of a record. Raise UserError for a file that does not say it well."""
    fields = schema.load(record)["fields"]
    file = folder / f"{record}.yaml"
    declared = mapping(file) if file.exists() else {}
    names = [one["name"] for one in fields]
    try:
        known = {"ranges", "unique", "references", "freshness", "volume"}
        if unknown := set(declared) - known:
            raise UserError(f"{file}: no check is called {', '.join(sorted(unknown))}")
        ranges = declared.get("ranges", {})
        bounds = {name: _bound(declared.get(name)) for name in ("unique", "freshness", "volume")}
        references = tuple(filter(None, map(_bound, declared.get("references", []))))
        used = [
            *ranges,
            *(name for one in (*bounds.values(), *references) if one for name in one.columns),
        ]
        if wrong := [name for name in used if name not in names]:
            raise UserError(f"{file}: {record} has no field {wrong[0]!r}")
        columns = tuple(filter(None, (_column(one, ranges.get(one["name"], {})) for one in fields)))
    except (TypeError, AttributeError) as error:
        raise UserError(f"{file}: {error}") from None
    time = "event_time" if "event_time" in names else None
    return Checks(record, columns, time, references=references, **bounds)


def _bound(given: dict[str, Any] | None) -> Bound | None:
    if given is None:
        return None
    body = dict(given)
    columns = (*body.pop("columns", ()), *([body.pop("column")] if "column" in body else []))
    return Bound(columns=columns, **body)


def _column(avro: dict[str, Any], limits: dict[str, float]) -> Column | None:
    """Return what is checked of a field; None for lists and maps, whose types alone say it all."""
    # A field with a default may have come later: the lake's rows of before have none.
    kind, nullable = avro["type"], "default" in avro
    if isinstance(kind, list):
        nullable = nullable or "null" in kind
        kind = next(one for one in kind if one != "null")
    parts = kind if isinstance(kind, dict) else {"type": kind}
    if parts["type"] in ("array", "map"):
        return None
    if parts.get("logicalType") == "timestamp-millis":
        return Column(avro["name"], "timestamp", nullable)
    return Column(
        avro["name"],
        (_NUMBERS | _OTHERS)[parts["type"]],
        nullable,
        int(avro.get("minLength", 0)),
        tuple(parts.get("symbols", ())),
        **limits,
    )

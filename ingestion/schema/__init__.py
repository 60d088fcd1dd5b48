"""Hold the contracts: one .avsc per record, the source of truth for tables and types.

Those of this repository lie here, those of a product outside in its folder `schema`. The record of
a feature table is generated: written down here, derived on demand outside.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from config.errors import UserError
from config.products import Product, products
from domain.features.registry import tables
from ingestion.schema.derived import feature_schema, schema_text

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return every record's name, sorted. Raise UserError for a record that is declared twice."""
    return sorted(_texts(_outside()))


def text(name: str) -> str:
    """Return the schema text as written. Raise FileNotFoundError for an unknown record."""
    known = _texts(_outside())
    if name not in known:
        raise FileNotFoundError(2, "no such contract", str(_FOLDER / f"{name}.avsc"))
    return known[name]


def load(name: str) -> dict[str, Any]:
    """Return the parsed schema; a fresh copy at each call."""
    schema: dict[str, Any] = json.loads(text(name))
    return schema


def reread() -> None:
    """Let the next look at a contract read all files again: a long-lived process calls this."""
    _texts.cache_clear()


def parts(avro: Any) -> dict[str, Any]:
    """Return an Avro type as a mapping; a union of null and one other as that other."""
    if isinstance(avro, list):
        others = [branch for branch in avro if branch != "null"]
        avro = others[0] if len(others) == 1 else avro
    return avro if isinstance(avro, dict) else {"type": avro}


def _outside() -> tuple[Product, ...]:
    return tuple(product for product in products() if product.outside)


@lru_cache(maxsize=8)
def _texts(outside: tuple[Product, ...]) -> dict[str, str]:
    """Return the schemas by record."""
    found: dict[str, str] = {}
    owner: dict[str, Path] = {}

    def take(name: str, schema: str, origin: Path) -> None:
        if name in found:
            raise UserError(f"record {name} is declared twice: in {owner[name]} and in {origin}")
        found[name], owner[name] = schema, origin

    for folder in (_FOLDER, *(product.folder / "schema" for product in outside)):
        for path in sorted(folder.glob("*.avsc")):
            take(path.stem, path.read_text(encoding="utf-8"), path)
    for product in outside:
        declared = [product.load(product.features)] if product.features else []
        for table in tables(declared):
            take(table.record, schema_text(feature_schema(table)), product.folder)
    return found

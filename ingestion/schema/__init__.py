"""The contracts: one .avsc a record, the source of truth for tables and types."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Every record's name, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.avsc"))


@cache
def text(name: str) -> str:
    """The schema as written. Raises FileNotFoundError for an unknown record."""
    return (_FOLDER / f"{name}.avsc").read_text(encoding="utf-8")


def load(name: str) -> dict[str, Any]:
    """The schema, parsed; a fresh copy at each call."""
    schema: dict[str, Any] = json.loads(text(name))
    return schema

"""Derive versions from declarations, so that none has to be raised by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

_DIGITS = 8
# Left out: prose, values only the documentation prints, and Python code. A test holds `python`
# equal to `sql`, and a function has no text that is the same on every machine. How long idle state
# is kept changes no value that a window covers.
_NO_MEANING = frozenset({"description", "doc", "entity", "keep_idle_ms", "python"})


def version_of(declared: Any) -> str:
    """Return `<name>-<digest>` of a declaration, which changes if and only if its meaning does.

    The digest is the beginning of the SHA-256 of the declaration as canonical JSON. Everything
    counts but prose and how long idle state is kept; a part left at its default does not, so a
    declaration keeps its version when the language of declarations grows.

    `declared` is a FeatureSet or a Graph, or any other dataclass with a `name`. Raise TypeError for
    a part that is neither data nor a dataclass.
    """
    text = json.dumps(meaning(declared), sort_keys=True, separators=(",", ":"))
    return f"{declared.name}-{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


def meaning(declared: Any) -> Any:
    """Return the parts of a declaration that count, in JSON's types."""
    if is_dataclass(declared) and not isinstance(declared, type):
        return {
            part.name: meaning(value)
            for part in fields(declared)
            if part.init and part.name not in _NO_MEANING
            if (value := getattr(declared, part.name)) != part.default or part.default is MISSING
        }
    if isinstance(declared, Mapping):
        return {key: meaning(part) for key, part in declared.items() if key not in _NO_MEANING}
    if isinstance(declared, list | tuple):
        return [meaning(part) for part in declared]
    if declared is None or isinstance(declared, str | int | float | bool):
        return declared
    raise TypeError(f"{declared!r} is not data: its meaning cannot be written down")

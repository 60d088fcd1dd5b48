"""Check what a file of declarations says, part by part; messages name the place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard


class DeclaredError(ValueError):
    """Raised for a declaration that cannot be used; the message names the place."""


def mapping(where: str, said: Any) -> Mapping[str, Any]:
    """Return what is said. Raise DeclaredError for anything but a mapping."""
    if not isinstance(said, Mapping):
        raise DeclaredError(f"{where}: not a mapping")
    return said


def sequence(where: str, said: Any) -> list[Any]:
    """Return what is said. Raise DeclaredError for anything but a list."""
    if not isinstance(said, list):
        raise DeclaredError(f"{where}: not a list")
    return said


def one_of(where: str, said: Any, allowed: Sequence[Any]) -> Any:
    """Return what is said. Raise DeclaredError for anything that is not allowed."""
    if said not in allowed:
        raise DeclaredError(f"{where}: {said!r} is none of {', '.join(allowed)}")
    return said


def finite(said: Any) -> TypeGuard[float]:
    """Return whether it is a number; a boolean, an infinity and NaN are none."""
    return isinstance(said, int | float) and not isinstance(said, bool) and math.isfinite(said)


def number(where: str, said: Any) -> float:
    """Return what is said. Raise DeclaredError for anything but a finite number."""
    if not finite(said):
        raise DeclaredError(f"{where}: {said!r} is no number")
    return said

"""Read the rules of card fraud from a file, and again when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from config.errors import UserError
from config.files import mapping
from config.watched import Watched
from domain.declared import DeclaredError
from domain.fraud.declared_rules import fields_of, parse
from domain.fraud.features import FRAUD
from domain.fraud.rules import Rules

LOOK_S = 0.5
FIELDS = fields_of(FRAUD)


def load(path: Path) -> Rules:
    """Return the rules in a file. Raise UserError, naming it, if they cannot be used."""
    try:
        return parse(mapping(path), FIELDS)
    except DeclaredError as error:
        raise UserError(f"{path}: {error}") from None


def watched(path: Path, clock: Callable[[], float]) -> Watched[Rules]:
    """Return the rules of a file that may change, as of half a second ago; `clock` in seconds."""
    return Watched(path, load, clock, LOOK_S)

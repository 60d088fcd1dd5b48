"""Read the limits of sensors from a file, and again when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from config.errors import UserError
from config.files import mapping
from config.watched import Watched
from domain.declared import DeclaredError
from domain.sensors.limits import Limits, parse

LOOK_S = 2.0


def load(path: Path) -> Limits:
    """Return the limits in a file. Raise UserError, naming it, if it holds none."""
    try:
        return parse(mapping(path))
    except DeclaredError as error:
        raise UserError(f"{path}: {error}") from None


class LimitsFile:
    """The limits of a file that may change while it is read.

    One that cannot be used is logged, and the limits stay as they were.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Read the limits. Raise UserError if the file holds none."""
        self._file = Watched(path, load, clock, LOOK_S)
        self._limits()

    @property
    def limits(self) -> Limits:
        """Return the limits as of two seconds ago at most."""
        self._file.look()
        return self._limits()

    def _limits(self) -> Limits:
        if self._file.declared is None:
            raise UserError(self._file.trouble or "no limits")
        return self._file.declared

"""Read the limits of sensors from a file, and again when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from config.errors import UserError
from config.files import mapping
from domain.sensors.limits import Limits, LimitsError, parse

log = structlog.get_logger(__name__)
LOOK_S = 2.0


def load(path: Path) -> Limits:
    """Return the limits in a file. Raise UserError, naming it, if it holds none."""
    try:
        return parse(mapping(path))
    except LimitsError as error:
        raise UserError(f"{path}: {error}") from None


class LimitsFile:
    """The limits of a file that may change while it is read.

    One that cannot be used is logged, and the limits stay as they were.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path, self._clock = path, clock
        self._mark = self._stat()
        self._limits = load(path)
        self._next = clock() + LOOK_S

    @property
    def limits(self) -> Limits:
        """Return the limits as of two seconds ago at most."""
        if self._clock() >= self._next:
            self._next = self._clock() + LOOK_S
            self._look()
        return self._limits

    def _look(self) -> None:
        mark = self._stat()
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._limits = load(self._path)
        except UserError as error:
            log.warning("the limits stay as they were", error=str(error))
        else:
            log.info("limits loaded", file=str(self._path), types=sorted(self._limits.types))

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

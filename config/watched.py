"""Read a file of declarations, and again when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from config.errors import UserError

log = structlog.get_logger(__name__)
Declared = TypeVar("Declared")
Mark = tuple[int, int, int] | None


class Watched(Generic[Declared]):
    """Follow what a file declares while the file may change.

    A version that cannot be used is logged and counted, and what was declared before stays.
    """

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], Declared],
        clock: Callable[[], float],
        look_s: float,
    ) -> None:
        """Read the file for the first time.

        `load` raises UserError for a file that cannot be used, `clock` is in seconds, and the file
        is looked at every `look_s` seconds at most.
        """
        self._path, self._load, self._clock, self._look_s = path, load, clock, look_s
        self.declared: Declared | None = None
        """The newest declaration that could be used; None if there was none yet."""
        self.trouble: str | None = None
        """Why the newest version of the file cannot be used; None if it can."""
        self.refused = 0
        """The number of versions that could not be used."""
        self._mark: Mark = self._stat()
        self._next = clock() + look_s
        self._read()

    def look(self) -> Declared | None:
        """Return what is declared, as of `look_s` seconds ago at most."""
        if self._clock() >= self._next:
            self._next = self._clock() + self._look_s
            mark = self._stat()
            if mark != self._mark:
                self._mark = mark
                self._read()
        return self.declared

    def _read(self) -> None:
        try:
            self.declared = self._load(self._path)
        except UserError as error:
            self.trouble = str(error)
            self.refused += 1
            log.warning("file refused, what was declared before stays", error=self.trouble)
        else:
            self.trouble = None
            log.info("file loaded", file=str(self._path))

    def _stat(self) -> Mark:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

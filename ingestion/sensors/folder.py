"""Watch a folder for files of readings: each is read once it is at rest, and on from there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from config.errors import UserError
from ingestion.replay.progress import Progress

SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson")

Mark = tuple[int, int, int]


class Position(Progress):
    """How many rows of a file were sent; it stays, so that what is appended later is read alone."""

    def __init__(self, state_dir: Path, file: Path) -> None:
        """Open the position of a file, which another file of the same name does not take over."""
        with file.open("rb") as read:
            first = read.readline()
        identity = f"{file.resolve()}\0{file.stat().st_ino}\0".encode() + first
        mark = hashlib.sha256(identity).hexdigest()[:16]
        super().__init__(state_dir, f"followed-{file.name}", mark)

    def finish(self) -> None:
        """Keep the position."""


class Folder:
    """The files of a folder that have something new.

    A file is at rest when it has not changed from one look to the next: whoever writes lines in
    pieces should move the file here when it is whole.
    """

    def __init__(self, path: Path) -> None:
        """Look at nothing yet. Raise UserError if there is no such folder."""
        if not path.is_dir():
            raise UserError(f"{path} is not a folder")
        self.path = path
        self._last: dict[Path, Mark] = {}
        self._done: dict[Path, Mark] = {}

    def look(self) -> Iterator[Path]:
        """Yield the files at rest that have changed since they were yielded last, by name."""
        seen = {file: mark for file in self._files() if (mark := _mark(file)) is not None}
        before, self._last = self._last, seen
        for file in sorted(seen):
            if before.get(file) == seen[file] != self._done.get(file):
                self._done[file] = seen[file]
                yield file
        self._done = {file: mark for file, mark in self._done.items() if file in seen}

    def _files(self) -> list[Path]:
        return [
            file
            for file in self.path.iterdir()
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()
        ]


def _mark(file: Path) -> Mark | None:
    try:
        found = file.stat()
    except OSError:  # gone meanwhile
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino

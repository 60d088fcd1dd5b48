"""Watch a folder for files of readings: each is read once it is at rest, and on from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from config.errors import UserError
from config.files import write
from ingestion.replay.progress import Progress

SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson")

Mark = tuple[int, int, int]
_BLOCK = 1 << 20


class Position(Progress):
    """The number of rows sent of a file; it is kept, so that later only appended rows are read.

    A digest of what the file held then stands beside it: a file that does not begin with that is
    another one, whatever its name and its header.
    """

    def __init__(self, state_dir: Path, file: Path) -> None:
        """Open the position of a file, at its first row if the file is another than before."""
        mark = hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]
        super().__init__(state_dir, f"followed-{file.name}", mark)
        self._prefix = self._file.with_suffix(".prefix")
        known = self._known()
        size = file.stat().st_size
        digests = _digests(file, known[0], size)
        if digests[0] != known[1]:
            self.start()
        write(self._prefix, json.dumps([size, digests[1]]))

    def start(self) -> None:
        """Begin at the first row; rows that were rejected before stay known."""
        self._file.unlink(missing_ok=True)

    def finish(self) -> None:
        """Keep the position."""

    def _known(self) -> tuple[int, str]:
        try:
            size, digest = json.loads(self._prefix.read_text())
            return int(size), str(digest)
        except (FileNotFoundError, ValueError, TypeError):
            return 0, ""


def _digests(file: Path, *sizes: int) -> list[str]:
    """Return the digest of the file's first so many bytes, for each of the sizes in turn.

    If the sizes fall, that of a part that the file no longer has is empty.
    """
    digest, at, found = hashlib.sha256(), 0, []
    with file.open("rb") as read:
        for size in sizes:
            while at < size and (block := read.read(min(_BLOCK, size - at))):
                digest.update(block)
                at += len(block)
            found.append(digest.hexdigest() if at == size else "")
    return found


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

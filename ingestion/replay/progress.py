"""Keep a replay's position and its rejected rows in small files under the state folder."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from config.errors import UserError
from config.files import write
from ingestion.replay.batches import Rejected

_BLOCK = 1 << 20


def fingerprint(paths: Iterable[Path], *parameters: str) -> str:
    """Return 16 hex digits of the files' contents, in order, and of the replay's parameters."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        digest.update(b"\0")
    digest.update("\0".join(parameters).encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Done:
    """The number of source rows whose records are all acknowledged, and of those rejected."""

    rows: int = 0
    rejected: int = 0


class Progress:
    """The files of one replay.

    `<state>/replay/<key>.json` exists while it is unfinished; `<state>/rejected/<key>.csv` stays.

    The key is the source's name and its fingerprint, so another file, topic or parameter starts
    afresh.
    """

    def __init__(self, state_dir: Path, name: str, mark: str) -> None:
        key = f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}-{mark}"
        self._file = state_dir / "replay" / f"{key}.json"
        self.rejected_file = state_dir / "rejected" / f"{key}.csv"

    def load(self) -> Done:
        """Return where an interrupted replay stopped, or zero if there was none."""
        try:
            stored = json.loads(self._file.read_text())
            return Done(int(stored["rows"]), int(stored["rejected"]))
        except FileNotFoundError:
            return Done()
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self._file} is damaged: --restart begins again at the first row"
            ) from error

    def start(self) -> None:
        """Forget an earlier replay."""
        self._file.unlink(missing_ok=True)
        self.rejected_file.unlink(missing_ok=True)

    def save(self, done: Done, rejected: Iterable[Rejected]) -> None:
        """Write the rejected rows, then the position.

        A crash between the two repeats rows in the CSV but loses none.
        """
        self._keep(list(rejected))
        write(self._file, json.dumps({"rows": done.rows, "rejected": done.rejected}))

    def finish(self) -> None:
        """Delete the position: the next replay begins at the first row. Rejected rows stay."""
        self._file.unlink(missing_ok=True)

    def _keep(self, rejected: list[Rejected]) -> None:
        if not rejected:
            return
        self.rejected_file.parent.mkdir(parents=True, exist_ok=True)
        new = not self.rejected_file.exists()
        with self.rejected_file.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(("row", "reason", "content"))
            writer.writerows((row.row, row.reason, row.content) for row in rejected)

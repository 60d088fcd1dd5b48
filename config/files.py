"""Write small files so that no reader ever sees half of one, lock, and read YAML's mappings."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import yaml

from config.errors import UserError

_POLL_S = 0.2


def write(path: Path, content: str | bytes, mode: int = 0o644, *, durable: bool = False) -> None:
    """Replace `path` atomically, creating its folder if missing.

    `durable` also waits until the disk has the file and its name, for what must survive a sudden
    end of the machine. Raise OSError, leaving nothing behind, if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own each time: threads of one process write the same file at once.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            os.fchmod(descriptor, mode)
            handle.write(content.encode() if isinstance(content, str) else content)
            if durable:
                handle.flush()
                os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def sync(folder: Path) -> None:
    """Wait until the disk has the names in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, within_s: float | None = None) -> Iterator[None]:
    """Hold a lock that other processes and threads wait for, by a file that is made if missing.

    The system lets go of it when a process ends, however it ends. With `within_s` raise
    BlockingIOError if somebody else holds it for so many seconds more; 0 does not wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        if within_s is None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        else:
            _locks(lock, within_s)
        yield


def _locks(lock: IO[str], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_S)
        else:
            return


def mapping(file: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file. Raise UserError, naming the file, if there is none."""
    try:
        declared = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: {' '.join(str(error).split())}") from None
    if not isinstance(declared, dict):
        raise UserError(f"{file}: not a mapping")
    return declared

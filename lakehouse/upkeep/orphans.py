"""Remove files that no snapshot of a table has, and no writer will bring into one.

A writer's file lies there before its commit: Flink's from the barrier of a checkpoint on, for as
long as the job is down in between. So a file is an orphan only if it is older than `age` and, where
Flink writes the table, older by `age` than Flink's newest commit too: what belonged to earlier
checkpoints is committed by then or never will be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlparse

import pyarrow.fs as pafs
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot

from lakehouse.positions import JOB_ID, told

LEAST_AGE = timedelta(hours=1)
COMMITTED = "millrace.flink-committed-ms"
"""Of a snapshot that repeats what Flink's said of job and checkpoint: when that was committed."""
_DATA_PATH = "write.data.path"


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file that nobody needs: its path as the file system has it, bytes, and age in seconds."""

    path: str
    bytes: int
    age_s: float
    files: pafs.FileSystem = field(compare=False, repr=False)


def orphans(table: Table, age: timedelta, now: datetime) -> list[Orphan]:
    """Return the table's orphans, the oldest first."""
    # Listed before the table is read anew: what was committed meanwhile is found to be needed.
    listed = [
        (files, info)
        for location in _locations(table)
        for files in [_filesystem(table, location)]
        for info in _files(files, location)
    ]
    table.refresh()
    before = now - age
    if (flink := _newest_flink(table)) is not None:
        before = min(before, flink - age)
    needed = {_key(path) for path in referenced(table)}
    found = [
        Orphan(info.path, info.size or 0, (now - info.mtime).total_seconds(), files)
        for files, info in listed
        if info.mtime is not None and info.mtime < before and _key(info.path) not in needed
    ]
    return sorted(found, key=lambda one: -one.age_s)


def remove(table: Table, age: timedelta, now: datetime) -> list[Orphan]:
    """Remove the table's orphans and return them. Raise ValueError for an unsafe age."""
    if age < LEAST_AGE:
        raise ValueError(f"files younger than {LEAST_AGE} may be a running writer's")
    found = orphans(table, age, now)
    for one in found:
        with suppress(FileNotFoundError):
            one.files.delete_file(one.path)
    return found


def referenced(table: Table) -> Iterator[str]:
    """Yield the path of every file that the table or any of its snapshots has."""
    metadata = table.metadata
    yield table.metadata_location
    yield from (one.metadata_file for one in metadata.metadata_log)
    for file in (*metadata.statistics, *metadata.partition_statistics):
        yield file.statistics_path
    seen: set[str] = set()
    for snapshot in metadata.snapshots:
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in seen:
                continue
            seen.add(manifest.manifest_path)
            yield manifest.manifest_path
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                yield entry.data_file.file_path


def committed_ms(snapshot: Snapshot) -> int:
    """Return when Flink committed what a snapshot says of its job and checkpoint."""
    return int(told(snapshot).get(COMMITTED, snapshot.timestamp_ms))


def _newest_flink(table: Table) -> datetime | None:
    times = [committed_ms(one) for one in table.metadata.snapshots if JOB_ID in told(one)]
    return datetime.fromtimestamp(max(times) / 1000, UTC) if times else None


def _locations(table: Table) -> list[str]:
    elsewhere = table.properties.get(_DATA_PATH)
    return [table.location(), *([elsewhere] if elsewhere else [])]


def _files(files: pafs.FileSystem, location: str) -> Iterator[pafs.FileInfo]:
    _, _, path = PyArrowFileIO.parse_location(location)
    for info in files.get_file_info(pafs.FileSelector(path, recursive=True, allow_not_found=True)):
        if info.type == pafs.FileType.File:
            yield info


def _filesystem(table: Table, location: str) -> pafs.FileSystem:
    scheme, netloc, _ = PyArrowFileIO.parse_location(location)
    return PyArrowFileIO(table.io.properties).fs_by_scheme(scheme, netloc)


def _key(path: str) -> str:
    """Return a path as writers agree on it: `file:/x`, `file:///x` and `/x` are one file."""
    found = urlparse(path)
    if found.scheme in ("", "file"):
        return found.path
    return f"{found.netloc}{found.path}"

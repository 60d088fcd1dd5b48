"""Compact small files: write each day's anew in few, and put them in their place.

A job that commits every minute leaves a file a minute. Rows are neither added nor lost nor changed,
so a commit that comes in between does not matter, as long as the files that were read are all still
there: then only the exchange is tried again, on top of it. If one is gone, somebody else has
replaced it, and this day is left for the next time.

The snapshot says nothing of Flink's: a committer looking for its newest checkpoint passes over it.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table

from config.lake import OFFSET, PARTITION
from lakehouse.files import discard, live, swap, write

log = structlog.get_logger(__name__)

MIB = 1024 * 1024
KIND = {"millrace.upkeep": "compaction"}
_ORDER = (PARTITION, OFFSET)
_TRIES = 50
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Limits:
    """How far to go: files of `small_bytes` and more are left as they are.

    A new one is made of at most `rows` rows and `target_bytes`, which bounds the memory it takes;
    and of at least `files` files, or it is not worth it.
    """

    small_bytes: int = 48 * MIB
    target_bytes: int = 96 * MIB
    rows: int = 1_000_000
    files: int = 4


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was done to a table. `tries`: commits begun; more than `groups` where others wrote."""

    groups: int = 0
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    tries: int = 0


def compact(
    table: Table, limits: Limits = LIMITS, sleep: Callable[[float], None] = time.sleep
) -> Compacted:
    """Compact a table day by day, each group of files in a commit of its own.

    Raise ValueError if what was written is not as many rows as what was read; nothing is committed
    then.
    """
    done = Compacted()
    for group in groups(table, limits):
        old = [task.file for task in group]
        new = _written(table, group)
        if tries := exchanged(table, old, new, sleep):
            done = Compacted(
                done.groups + 1,
                done.files_before + len(old),
                done.files_after + len(new),
                done.bytes_before + _size(old),
                done.bytes_after + _size(new),
                done.tries + tries,
            )
    return done


def groups(table: Table, limits: Limits = LIMITS) -> Iterator[list[FileScanTask]]:
    """Yield the small files that shall become one, partition by partition.

    Files with deletes, or of an earlier partitioning, are left alone.
    """
    if table.current_snapshot() is None:
        return
    by_partition: dict[object, list[FileScanTask]] = defaultdict(list)
    for task in table.scan().plan_files():
        file = task.file
        small = file.file_size_in_bytes < limits.small_bytes and file.record_count < limits.rows
        if small and not task.delete_files and file.spec_id == table.spec().spec_id:
            by_partition[file.partition].append(task)
    for tasks in by_partition.values():
        for group in _packed(tasks, limits):
            if len(group) >= limits.files:
                yield group


def _packed(tasks: list[FileScanTask], limits: Limits) -> Iterator[list[FileScanTask]]:
    group: list[FileScanTask] = []
    rows = size = 0
    for task in sorted(tasks, key=lambda one: one.file.file_path):
        file = task.file
        full = size + file.file_size_in_bytes > limits.target_bytes
        if group and (full or rows + file.record_count > limits.rows):
            yield group
            group, rows, size = [], 0, 0
        group.append(task)
        rows += file.record_count
        size += file.file_size_in_bytes
    if group:
        yield group


def _written(table: Table, group: Sequence[FileScanTask]) -> list[DataFile]:
    """Write the group's rows anew, in the order of the log if they have one."""
    schema = table.schema()
    rows = ArrowScan(table.metadata, table.io, schema, AlwaysTrue()).to_table(group)
    if set(_ORDER) <= set(rows.column_names):
        rows = rows.sort_by([(name, "ascending") for name in _ORDER])
    new = write(table, rows)
    wanted = sum(task.file.record_count for task in group)
    if (found := sum(one.record_count for one in new)) != wanted:
        discard(table, new)
        raise ValueError(f"{'.'.join(table.name())}: {wanted} rows became {found}")
    return new


def exchanged(
    table: Table, old: list[DataFile], new: list[DataFile], sleep: Callable[[float], None]
) -> int:
    """Let files take the place of others that hold their rows, in one commit, beside writers.

    Return how many commits it took; 0 if a file was gone, or others always came first.
    """
    gone, come = ({one.file_path for one in files} for files in (old, new))
    for tried in range(1, _TRIES + 1):
        try:
            swap(table, old, new, KIND)
        except (CommitFailedException, ValidationException):
            sleep(_PAUSE_S)
            table.refresh()
            there = {one.file_path for one in live(table)}
            if come <= there:
                return tried
            if not gone <= there:
                break
        except BaseException:
            # Whether it was committed is not known: what no snapshot has is an orphan.
            log.warning("compaction is in doubt", table=".".join(table.name()))
            raise
        else:
            table.refresh()
            return tried
    discard(table, new)
    log.info("compaction left for later", table=".".join(table.name()), files=len(old))
    return 0


def _size(files: Sequence[DataFile]) -> int:
    return sum(one.file_size_in_bytes for one in files)

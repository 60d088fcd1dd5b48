"""Find in the tables themselves up to where a topic has been written.

Commits happen in the order of checkpoints, and a checkpoint holds a table's records of each
partition up to one offset. So a table that holds a record holds all earlier ones of its partition,
and its highest offsets say where to go on; Flink's own state is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pyiceberg.conversions import from_bytes
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.table import FileScanTask, Table
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.types import IntegerType, LongType

from config.lake import OFFSET, PARTITION
from lakehouse.forgotten import held

JOB_ID, CHECKPOINT = "flink.job-id", "flink.max-committed-checkpoint-id"

Offsets = dict[int, int]
"""By partition."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A checkpoint of a job that a table has committed with a snapshot."""

    job: str
    checkpoint: int
    snapshot_id: int


def written(table: Table, snapshot_id: int | None = None) -> Offsets:
    """Return the highest offset of each partition that the table holds, now or at a snapshot."""
    if table.metadata.current_snapshot_id is None:
        return {}
    scan = table.scan(selected_fields=(PARTITION, OFFSET), snapshot_id=snapshot_id)
    # Rows that were removed for good are not to be read again.
    highest: Offsets = held(table) if snapshot_id is None else {}
    mixed: list[tuple[int, int, int, FileScanTask]] = []
    for task in scan.plan_files():
        first, last, offset = _bounds(table, task)
        if first == last:
            highest[first] = max(offset, highest.get(first, -1))
        else:
            mixed.append((offset, first, last, task))
    for offset, first, last, task in sorted(mixed, key=lambda one: -one[0]):
        # What cannot raise any of its partitions need not be read.
        if any(highest.get(partition, -1) < offset for partition in range(first, last + 1)):
            for partition, found in _read(table, task).items():
                highest[partition] = max(found, highest.get(partition, -1))
    return highest


def _bounds(table: Table, task: FileScanTask) -> tuple[int, int, int]:
    """Return a file's first and last partition and its highest offset, from its statistics."""
    partition = table.schema().find_field(PARTITION).field_id
    offset = table.schema().find_field(OFFSET).field_id
    lower, upper = task.file.lower_bounds, task.file.upper_bounds
    return (
        int(from_bytes(IntegerType(), lower[partition])),
        int(from_bytes(IntegerType(), upper[partition])),
        int(from_bytes(LongType(), upper[offset])),
    )


def _read(table: Table, task: FileScanTask) -> Offsets:
    projected = table.schema().select(PARTITION, OFFSET)
    scan = ArrowScan(table.metadata, table.io, projected, AlwaysTrue())
    rows = scan.to_table([task]).group_by(PARTITION).aggregate([(OFFSET, "max")])
    return dict(zip(rows[PARTITION].to_pylist(), rows[f"{OFFSET}_max"].to_pylist(), strict=True))


def commits(table: Table) -> Iterator[Commit]:
    """Yield the checkpoints that led to the table's present state, the newest first."""
    for one in lineage(table):
        said = told(one)
        if JOB_ID in said and CHECKPOINT in said:
            yield Commit(said[JOB_ID], int(said[CHECKPOINT]), one.snapshot_id)


def lineage(table: Table) -> Iterator[Snapshot]:
    """Yield the current snapshot and those that led to it, as far as they are there."""
    by_id = {one.snapshot_id: one for one in table.metadata.snapshots}
    found = table.current_snapshot()
    while found is not None:
        yield found
        found = by_id.get(found.parent_snapshot_id or -1)


def told(snapshot: Snapshot | None) -> Mapping[str, str]:
    """Return what a snapshot's writer has said of it beyond its kind."""
    return snapshot.summary.additional_properties if snapshot and snapshot.summary else {}


def next_offsets(tables: Mapping[str, Table], held: Mapping[str, Offsets] | None = None) -> Offsets:
    """Return where to go on reading a topic, given the tables of its records.

    `held` is what `written` says of each, where the caller has asked already.

    A partition is absent if nothing of it is known to be in the tables.

    A table without a new record of its own for long would set all back to its last one. But with
    its newest checkpoint it has said that it holds all up to there, and what another table held at
    the same checkpoint, or an earlier one of the same job, shows how far that is.
    """
    held = {name: written(table) for name, table in tables.items()} if held is None else held
    complete = [_complete(name, tables, held[name]) for name in tables]
    partitions = set.intersection(*(set(one) for one in complete)) if complete else set()
    return {
        partition: min(one[partition] for one in complete) + 1 for partition in sorted(partitions)
    }


def _complete(name: str, tables: Mapping[str, Table], held: Offsets) -> Offsets:
    """Return the offsets up to which a table lacks nothing, given the highest that it holds."""
    found = dict(held)
    newest = next(commits(tables[name]), None)
    if newest is None:
        return found
    for other in (table for one, table in tables.items() if one != name):
        same = next(
            (
                commit
                for commit in commits(other)
                if commit.job == newest.job and commit.checkpoint <= newest.checkpoint
            ),
            None,
        )
        shown = written(other, same.snapshot_id) if same else {}
        for partition, offset in shown.items():
            found[partition] = max(offset, found.get(partition, -1))
    return found

"""Expire snapshots, and keep those that a Flink job may still ask for.

When a job is restored, Iceberg's committer walks from the current snapshot back by parents until it
meets one of that job, to learn which of its checkpoints are in the table; where the walk breaks off
it commits again what is there already (apache/iceberg #5846, #10892). So all snapshots from the
current one back to the newest of Flink's stay, whatever their age, and no gap is made in between.
Files that only expired snapshots had become orphans.
"""

from __future__ import annotations

from datetime import datetime

from pyiceberg.table import Table

from lakehouse.positions import JOB_ID, lineage, told


def expire(table: Table, before: datetime, keep: int = 1) -> list[int]:
    """Expire snapshots older than `before` and return their ids.

    The newest `keep` stay in any case, as do heads of branches and tags.
    """
    ids = expired(table, before, keep)
    if ids:
        table.maintenance.expire_snapshots().by_ids(ids).commit()
        table.refresh()
    return ids


def expired(table: Table, before: datetime, keep: int = 1) -> list[int]:
    """Return the ids of the snapshots that `expire` would expire, the oldest first."""
    limit = int(before.timestamp() * 1000)
    line = list(lineage(table))
    newest = next((at for at, one in enumerate(line) if JOB_ID in told(one)), -1)
    needed = {one.snapshot_id for one in line[: max(keep, newest + 1)]}
    needed |= {ref.snapshot_id for ref in table.metadata.refs.values()}
    found = [
        one
        for one in table.metadata.snapshots
        if one.timestamp_ms < limit and one.snapshot_id not in needed
    ]
    return [one.snapshot_id for one in sorted(found, key=lambda one: one.timestamp_ms)]

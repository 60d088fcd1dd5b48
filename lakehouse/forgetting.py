"""Remove rows from the lake for good: from every table, every snapshot and every file.

Iceberg removes a row by writing its file anew without it; older snapshots keep the old file. So
three things follow each other, beside whatever writes meanwhile:

1. The files that hold the rows are exchanged for others (`delete`).
2. A further snapshot, which adds nothing, drops what the exchange has noted of the old files: their
   bounds hold values of the rows. It repeats what Flink's newest commit said of job and checkpoint,
   so that Iceberg's committer finds there what it looks for when the job is restored, and all older
   snapshots may go (lakehouse/upkeep/expiry.py says why they otherwise may not).
3. All older snapshots expire, and the files that only they had are removed at once: they were
   committed, so no writer has them in hand (`purge`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import AlwaysTrue, BooleanExpression, EqualTo
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.manifest import DataFile
from pyiceberg.table import FileScanTask, Table

from config.lake import OFFSET, PARTITION, LakeTable
from lakehouse import forgotten
from lakehouse.commits import TRIES, retried
from lakehouse.files import discard, write
from lakehouse.positions import JOB_ID, lineage, told
from lakehouse.reading import tables
from lakehouse.upkeep import orphans
from lakehouse.upkeep.compaction import exchanged

PURGING = "millrace.purging"
"""A table's property while files of snapshots that have expired are still to be removed."""
_FLINKS = ("flink.job-id", "flink.operator-id", "flink.max-committed-checkpoint-id")

Mask = Callable[[pa.Table], pa.ChunkedArray]
"""Says of each row whether it goes."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that go: `where` may choose more files, `mask` decides."""

    where: BooleanExpression
    mask: Mask

    @classmethod
    def equal(cls, column: str, value: str) -> Rows:
        """Return the rows with this value."""
        return cls(
            EqualTo(column, value),  # type: ignore[misc, call-arg, arg-type]
            lambda rows: pc.fill_null(pc.equal(rows[column], value), False),
        )


@dataclass(frozen=True, slots=True)
class Removed:
    """The outcome of a removal from a table.

    `snapshots` expired, `files` were removed, `kept_by` names branches and tags that still have
    snapshots of before, `stuck` files could not be removed.
    """

    table: str
    rows: int
    snapshots: int = 0
    files: int = 0
    kept_by: tuple[str, ...] = ()
    stuck: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return asdict(self)


def holding(lake: Catalog, column: str) -> list[str]:
    """Return the names of the tables that have a column."""
    return [
        name
        for name in tables(lake)
        if name != forgotten.NAME
        and column in {one.name for one in lake.load_table(name).schema().fields}
    ]


def anywhere(table: Table, rows: Rows) -> bool:
    """Return whether any snapshot that is still there has such rows."""
    seen: set[str] = set()
    for snapshot in table.metadata.snapshots:
        scan = table.scan(row_filter=rows.where, snapshot_id=snapshot.snapshot_id)
        for task in scan.plan_files():
            if task.file.file_path not in seen:
                seen.add(task.file.file_path)
                if len(_split(table, task, rows)[0]):
                    return True
    return False


def delete(
    lake: Catalog,
    name: str,
    rows: Rows,
    declared: LakeTable | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Remove the rows from a table's current state and return how many there were.

    `declared`: the table is one of bronze, whose places are kept so that nobody misses them. Raise
    CommitFailedException if others always came first.
    """
    table = lake.load_table(name)
    removed = 0
    for _ in range(TRIES):
        found, old, new = _rewritten(table, rows)
        if not old:
            return removed
        if declared is not None:
            forgotten.remember(table, _highest(found))
            forgotten.keep(lake, found, declared.time, datetime.now(UTC))
        if exchanged(table, old, new, sleep):
            removed += len(found)
        # Again: a writer may have brought more, or replaced a file.
        table.refresh()
    raise CommitFailedException(f"{name}: others wrote again and again: try once more")


def _tasks(table: Table, rows: Rows) -> Iterator[FileScanTask]:
    if table.current_snapshot() is not None:
        yield from table.scan(row_filter=rows.where).plan_files()


def _split(table: Table, task: FileScanTask, rows: Rows) -> tuple[pa.Table, pa.Table]:
    """Return the rows of a file that go, and those that stay."""
    scan = ArrowScan(table.metadata, table.io, table.schema(), AlwaysTrue())
    every = scan.to_table([task])
    goes = rows.mask(every)
    return every.filter(goes), every.filter(pc.invert(goes))


def _rewritten(table: Table, rows: Rows) -> tuple[pa.Table, list[DataFile], list[DataFile]]:
    """Write the files that hold such rows anew; return the rows, the files, and the new ones."""
    gone, old, new = [table.schema().as_arrow().empty_table()], list[DataFile](), list[DataFile]()
    try:
        for task in _tasks(table, rows):
            goes, stays = _split(table, task, rows)
            if len(goes):
                gone.append(goes.cast(gone[0].schema))
                old.append(task.file)
                new += write(table, stays) if len(stays) else []
    except BaseException:
        discard(table, new)
        raise
    return pa.concat_tables(gone), old, new


def _highest(rows: pa.Table) -> dict[int, int]:
    found = rows.group_by(PARTITION).aggregate([(OFFSET, "max")])
    return dict(zip(found[PARTITION].to_pylist(), found[f"{OFFSET}_max"].to_pylist(), strict=True))


def purge(
    table: Table, now: datetime, sleep: Callable[[float], None] = time.sleep
) -> tuple[int, int, tuple[str, ...], int]:
    """Expire all that came before, and remove the files that only it had.

    Return how many snapshots expired and files went, which branches and tags keep others, and how
    many files could not be removed. Until none is left the table says where they are named: a run
    that ended between expiry and removal is finished by the next.
    """
    named = _stamped(table, sleep)
    if named is None:
        return 0, 0, (), 0
    earlier = purging(table)
    before = set(orphans.referenced(table)) | _noted(table, earlier)
    note = f"{table.location()}/metadata/purging-{uuid4()}.json"
    with table.io.new_output(note).create() as file:
        file.write(json.dumps(sorted(before)).encode())
    _say(table, {PURGING: note}, sleep)
    expired = _expired(table, named, sleep)
    gone = before - set(orphans.referenced(table))
    stuck = sum(not _removed(table, path) for path in gone)
    # What writers that died have left may hold the rows, too.
    left = orphans.remove(table, orphans.LEAST_AGE, now)
    if not stuck:
        _say(table, {}, sleep)
        _removed(table, note)
    if earlier is not None:
        _removed(table, earlier)
    kept = tuple(sorted(name for name in table.metadata.refs if name != "main"))
    return expired, len(gone) - stuck + len(left), kept, stuck


def purging(table: Table) -> str | None:
    """Return the file that names what an unfinished purge was to remove."""
    return table.properties.get(PURGING)


def _noted(table: Table, note: str | None) -> set[str]:
    if note is None:
        return set()
    try:
        with table.io.new_input(note).open() as file:
            return set(json.loads(file.read()))
    except FileNotFoundError:
        # Upkeep takes it for an orphan after a day, and with it the files that it names.
        return set()


def _removed(table: Table, path: str) -> bool:
    try:
        table.io.delete(path)
    except FileNotFoundError:
        log.info("gone already", file=path)
    except OSError as error:
        log.warning("file stays", file=path, error=str(error))
        return False
    return True


def _say(table: Table, said: dict[str, str], sleep: Callable[[float], None]) -> None:
    """Set the property of an unfinished purge, or take it away."""

    def commit() -> None:
        with table.transaction() as change:
            if said:
                change.set_properties(said)
            else:
                change.remove_properties(PURGING)

    retried(table, commit, sleep)
    table.refresh()


def _stamped(table: Table, sleep: Callable[[float], None]) -> int | None:
    """Commit a snapshot that adds nothing, and return its id; None for a table without any.

    It says of Flink what the newest of Flink's says, so nothing may come in between: it is not
    tried again on top of another's commit, but made anew.
    """
    table.refresh()
    if table.current_snapshot() is None:
        return None

    def commit() -> int:
        newest = next((one for one in lineage(table) if JOB_ID in told(one)), None)
        said: dict[str, str] = {}
        if newest is not None:
            said = {name: told(newest)[name] for name in _FLINKS if name in told(newest)}
            said[orphans.COMMITTED] = str(orphans.committed_ms(newest))
        with table.transaction() as change:
            producer = change.update_snapshot(snapshot_properties=said).fast_append()
            with producer:
                pass
            change._snapshot_producers = []
        return int(producer.snapshot_id)

    named = retried(table, commit, sleep)
    table.refresh()
    return named


def _expired(table: Table, named: int, sleep: Callable[[float], None]) -> int:
    """Expire every snapshot but `named`, what came after it, and what branches and tags name."""

    def commit() -> int:
        after: set[int] = set()
        for one in lineage(table):
            after.add(one.snapshot_id)
            if one.snapshot_id == named:
                break
        kept = after | {ref.snapshot_id for ref in table.metadata.refs.values()}
        ids = [one.snapshot_id for one in table.metadata.snapshots if one.snapshot_id not in kept]
        if ids:
            table.maintenance.expire_snapshots().by_ids(ids).commit()
        return len(ids)

    expired = retried(table, commit, sleep)
    table.refresh()
    return expired

"""Write data files, and let them take the place of others in one commit.

PyIceberg's `overwrite` makes two snapshots, one without the rows and one with them again; readers
of the past could meet the first. Its producer of snapshots makes one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import structlog
from pyiceberg.expressions import AlwaysTrue, BooleanExpression
from pyiceberg.io.pyarrow import _dataframe_to_data_files
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

log = structlog.get_logger(__name__)


def live(table: Table, where: BooleanExpression | None = None) -> list[DataFile]:
    """Return the data files of the current snapshot that may hold rows of `where`."""
    if table.current_snapshot() is None:
        return []
    return [task.file for task in table.scan(row_filter=where or AlwaysTrue()).plan_files()]


def write(table: Table, rows: pa.Table) -> list[DataFile]:
    """Write rows into files of the table, by partition; no snapshot has them yet."""
    with warnings.catch_warnings():
        # The size of row groups in bytes is for Flink; PyIceberg bounds their rows.
        warnings.filterwarnings("ignore", "Parquet writer option")
        return list(_dataframe_to_data_files(table.metadata, rows, table.io))


def swap(
    table: Table,
    old: Sequence[DataFile],
    new: Sequence[DataFile],
    summary: Mapping[str, str],
    properties: Mapping[str, str] | None = None,
) -> None:
    """Put `new` in the place of `old` in one snapshot, `summary` being added to its own.

    `properties` become the table's in the same commit.

    Raise CommitFailedException or ValidationException if others have committed what is in the way:
    then nothing has happened, and the new files are still there.
    """
    with table.transaction() as change:
        if properties:
            change.set_properties(dict(properties))
        said = dict(summary)
        with change.update_snapshot(snapshot_properties=said).overwrite() as snapshot:
            for one in old:
                snapshot.delete_data_file(one)
            for one in new:
                snapshot.append_data_file(one)


def discard(table: Table, unused: Iterable[DataFile]) -> None:
    """Remove files that no snapshot has taken. What cannot be removed is an orphan for upkeep."""
    for one in unused:
        try:
            table.io.delete(one.file_path)
        except OSError as error:
            log.warning("unused file stays", file=one.file_path, error=str(error))

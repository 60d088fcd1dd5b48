"""Upkeep of tables, beside a writer that does not stop."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import CommitFailedException
from pyiceberg.table import Table

from config.errors import UserError
from lakehouse import files
from lakehouse.positions import lineage
from lakehouse.upkeep import compaction
from lakehouse.upkeep.compaction import Limits, compact
from lakehouse.upkeep.expiry import expire
from lakehouse.upkeep.orphans import orphans, remove
from lakehouse.upkeep.run import Plan, upkeep
from tests.unit.lakehouse.lakes import EPOCH, append, bronze, lake, payments

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")

JOB, CHECKPOINT = "flink.job-id", "flink.max-committed-checkpoint-id"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FEW = Limits(files=2)


def _ids(table: Table) -> Counter[tuple[int, int]]:
    rows = table.refresh().scan(selected_fields=("_partition", "_offset")).to_arrow().to_pylist()
    return Counter((row["_partition"], row["_offset"]) for row in rows)


def _flink(table: Table, rows: list[dict[str, Any]], first: int, checkpoint: int) -> None:
    """Commit a checkpoint's rows as Flink's committer does, which tries again when overtaken."""
    placed = [
        {"_topic": "t", "_partition": 0, "_offset": first + at, **row}
        for at, row in enumerate(rows)
    ]
    arrow = pa.Table.from_pylist(placed, schema=table.schema().as_arrow())
    summary = {JOB: "job", CHECKPOINT: str(checkpoint)}
    while True:
        try:
            table.append(arrow, snapshot_properties=summary)
        except CommitFailedException:
            table.refresh()
        else:
            return


def _many(of: Catalog, commits: int = 6) -> Table:
    table = bronze(of, "transactions", "Transaction")
    for at in range(commits):
        append(table, "transactions", payments(10, EPOCH + at % 2 * DAY, at * 10))
    return table


@pytest.mark.slow
def test_rows_stay_those_they_were_in_fewer_files(tmp_path: Path) -> None:
    table = _many(lake(tmp_path))
    before = table.scan().to_arrow().sort_by("_offset")
    done = compact(table, FEW)
    assert (done.groups, done.files_before, done.files_after, done.tries) == (2, 6, 2, 2)
    assert 0 < done.bytes_after < done.bytes_before
    assert table.scan().to_arrow().sort_by("_offset").equals(before)
    for file in files.live(table):
        rows = pa.parquet.read_table(file.file_path.removeprefix("file://"))
        assert rows["_offset"].to_pylist() == sorted(rows["_offset"].to_pylist())
    assert compact(table, FEW).groups == 0


@pytest.mark.slow
def test_what_is_large_or_lonely_is_left(tmp_path: Path) -> None:
    table = _many(lake(tmp_path))
    assert compact(table, Limits(files=4)).groups == 0
    assert compact(table, Limits(files=2, small_bytes=10)).groups == 0
    sizes = [(one.groups, one.files_after) for one in [compact(table, Limits(files=2, rows=25))]]
    assert sizes == [(2, 2)], "two files of ten rows each fit, the third of each day stays"
    assert len(files.live(table)) == 4


@pytest.mark.slow
def test_a_day_somebody_else_replaced_meanwhile_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = lake(tmp_path)
    table, other = _many(of), of.load_table("bronze.transactions")
    real = compaction._written

    def overtaken(at: Table, group: Any) -> Any:
        new = real(at, group)
        if other.refresh().scan("_offset < 10").count():
            other.delete("_offset < 10")
        return new

    monkeypatch.setattr(compaction, "_written", overtaken)
    done = compact(table, FEW, sleep=lambda _: None)
    assert done.groups == 1, "the day from which nothing was deleted"
    wanted = Counter({(0, offset): 1 for offset in range(10, 60)})
    assert _ids(table) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_no_row_is_lost_or_doubled_while_a_job_writes(tmp_path: Path, seed: int) -> None:
    of = lake(tmp_path)
    table = bronze(of, "transactions", "Transaction")
    commits, rows = 15, 8
    ended = threading.Event()
    failed: list[BaseException] = []

    def write() -> None:
        draw = random.Random(seed)
        try:
            mine = lake(tmp_path).load_table("bronze.transactions")
            for at in range(commits):
                day = EPOCH + draw.randrange(2) * DAY
                _flink(mine, payments(rows, day, at * rows), at * rows, at + 1)
                time.sleep(draw.random() / 50)
        except BaseException as error:
            failed.append(error)
            raise
        finally:
            ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    tries = groups = 0
    while not ended.is_set():
        done = compact(table.refresh(), FEW)
        tries, groups = tries + done.tries, groups + done.groups
        expire(table, datetime.now(UTC))
        remove(table, HOUR, datetime.now(UTC))
    writer.join()
    assert failed == []
    compact(table.refresh(), FEW)
    expire(table, datetime.now(UTC) + HOUR)
    assert groups > 0
    assert _ids(table) == Counter({(0, offset): 1 for offset in range(commits * rows)})
    assert len(files.live(table)) == 2
    stamps = [dict(one.summary.additional_properties) for one in lineage(table) if one.summary]
    known = [int(one[CHECKPOINT]) for one in stamps if one.get(JOB) == "job"]
    assert known[0] == commits, "where the job's committer finds its newest checkpoint"


def test_expiry_keeps_the_way_back_to_flinks_newest(tmp_path: Path) -> None:
    table = bronze(lake(tmp_path), "transactions", "Transaction")
    for at in range(3):
        _flink(table, payments(5, EPOCH, at * 5), at * 5, at + 1)
    compact(table, FEW)
    compact(table, Limits(files=1))
    late = datetime.now(UTC) + DAY
    assert len(expire(table, late)) == 2
    stamped = [JOB in one.summary.additional_properties for one in lineage(table) if one.summary]
    assert stamped == [False, False, True]
    assert expire(table, late) == []
    assert len(_ids(table)) == 15


def test_expiry_keeps_what_is_young_or_named(tmp_path: Path) -> None:
    table = _many(lake(tmp_path), 4)
    oldest = table.metadata.snapshots[0].snapshot_id
    with table.manage_snapshots() as manage:
        manage.create_tag(oldest, "audit")
    assert expire(table, datetime.now(UTC) - HOUR) == []
    assert len(expire(table, datetime.now(UTC) + HOUR, keep=2)) == 1
    left = {one.snapshot_id for one in table.metadata.snapshots}
    assert oldest in left
    assert len(left) == 3


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def _age(paths: set[Path], by: timedelta) -> None:
    then = (datetime.now(UTC) - by).timestamp()
    for path in paths:
        os.utime(path, (then, then))


@pytest.mark.slow
def test_orphans_are_what_no_snapshot_has(tmp_path: Path) -> None:
    table = _many(lake(tmp_path))
    replaced = {Path(one.file_path.removeprefix("file://")) for one in files.live(table)}
    compact(table, FEW)
    folder = tmp_path / "warehouse"
    stray = folder / "bronze" / "transactions" / "data" / "stray.parquet"
    stray.write_bytes(b"left by a writer that died")
    _age(_files(folder), 2 * DAY)
    now = datetime.now(UTC)
    assert {Path(one.path) for one in orphans(table, DAY, now)} >= {stray}
    assert not replaced & {Path(one.path) for one in orphans(table, DAY, now)}
    remove(table, DAY, now)
    assert replaced <= _files(folder), "snapshots that are kept still have them"
    expire(table, now + HOUR)
    _age(_files(folder), 2 * DAY)
    remove(table, DAY, now)
    assert not replaced & _files(folder)
    assert len(_ids(table)) == 60
    assert remove(table, DAY, now + HOUR) == []


def test_a_file_that_a_stopped_job_will_commit_is_no_orphan(tmp_path: Path) -> None:
    table = bronze(lake(tmp_path), "transactions", "Transaction")
    _flink(table, payments(5), 0, 1)
    waiting = (
        tmp_path / "warehouse" / "bronze" / "transactions" / "data" / "of-checkpoint-2.parquet"
    )
    waiting.write_bytes(b"written, not committed")
    week = datetime.now(UTC) + 7 * DAY
    assert orphans(table, DAY, week) == []
    _age({waiting}, 2 * DAY)
    assert [Path(one.path) for one in orphans(table, DAY, week)] == [waiting]
    with pytest.raises(ValueError, match="may be a running writer's"):
        remove(table, timedelta(minutes=5), week)


def test_all_upkeep_is_one_call(tmp_path: Path) -> None:
    of = lake(tmp_path)
    _many(of)
    plan = Plan(limits=FEW, keep=timedelta(0), age=DAY)
    (kept,) = upkeep(of, [], plan, datetime.now(UTC) + HOUR)
    assert (kept.table, kept.compacted.files_after) == ("bronze.transactions", 2)
    assert kept.expired == 7
    with pytest.raises(UserError, match=r"no table 'bronze.x'; there are: bronze.transactions"):
        list(upkeep(of, ["bronze.x"], plan, datetime.now(UTC)))

"""The size of RocksDB's state on disk, where the TaskManager was told to keep it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cluster import Cluster
from config.settings import Settings
from millrace.stack.parts import flink

OPTION = "-Dio.tmp.dirs="


def working_folder(settings: Settings, operator: str) -> Path:
    """Make an operator's RocksDB folder as Flink does, below the folder its command line names."""
    scratch = next(
        word.removeprefix(OPTION) for word in flink.taskmanager(settings) if word.startswith(OPTION)
    )
    folder = Path(scratch) / "tm_taskmanager" / "tmp" / f"job_1_op_{operator}__1_1__uuid_2" / "db"
    folder.mkdir(parents=True)
    return folder


def test_the_files_of_every_operators_rocksdb_count_and_nothing_else(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    for operator, size in (("rolling", 1000), ("dedup", 24)):
        (working_folder(settings, operator) / "000010.sst").write_bytes(bytes(size))
    beside = tmp_path / "tmp" / "taskmanager" / "tm_taskmanager" / "blobStorage"
    beside.mkdir()
    (beside / "blob").write_bytes(bytes(7))
    assert Cluster(settings).state_on_disk() == 1024


def test_a_file_removed_while_it_is_looked_at_counts_nothing(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    folder = working_folder(settings, "rolling")
    (folder / "000011.sst").write_bytes(bytes(5))
    (folder / "000010.sst").symlink_to(folder / "compacted-away")
    assert Cluster(settings).state_on_disk() == 5


def test_no_state_is_an_error_not_a_size(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    with pytest.raises(RuntimeError, match="no state of RocksDB"):
        Cluster(settings).state_on_disk()
    working_folder(settings, "rolling")
    with pytest.raises(RuntimeError, match="no state of RocksDB"):
        Cluster(settings).state_on_disk()

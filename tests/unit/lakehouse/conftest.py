"""A lake of its own for each test, in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from config.lake import LakeTable, lake_tables
from config.settings import Settings
from config.topics import topics
from lakehouse.catalog import catalog
from lakehouse.query import connect
from lakehouse.tables import apply
from tests.unit.lakehouse import lakes
from tests.unit.lakehouse.fraud_lake import FraudLake

TABLES = {table.name: table for table in lake_tables(topics().values())}
Place = tuple[int, int]
"""A partition and an offset."""
Append = Callable[..., Table]


@pytest.fixture
def loaded(tmp_path: Path) -> Settings:
    return Settings.model_validate({"state_dir": tmp_path})


@pytest.fixture
def lake(loaded: Settings) -> Iterator[Catalog]:
    opened = catalog(loaded)
    yield opened
    opened.engine.dispose()  # type: ignore[attr-defined]


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect("512MB", tmp_path / "spill") as opened:
        yield opened


@pytest.fixture
def filled(tmp_path: Path) -> FraudLake:
    """A lake of card fraud's tables, with nothing in them yet."""
    return FraudLake(lakes.lake(tmp_path))


@pytest.fixture
def append(lake: Catalog) -> Append:
    """Write rows to a table as a commit of Flink's would, with its job and its checkpoint."""

    def write(
        table: LakeTable, places: Sequence[Place], job: str = "", checkpoint: int = 0
    ) -> Table:
        apply(lake, [table])
        found = lake.load_table(table.identifier)
        told = {"flink.job-id": job, "flink.max-committed-checkpoint-id": str(checkpoint)}
        rows = [row(table, place) for place in places]
        found.append(
            pa.Table.from_pylist(rows, schema=found.schema().as_arrow()),
            snapshot_properties=told if job else {},
        )
        return lake.load_table(table.identifier)

    return write


def row(table: LakeTable, place: Place) -> dict[str, Any]:
    partition, offset = place
    return {
        "_topic": table.topic,
        "_partition": partition,
        "_offset": offset,
        "_ingested_at": datetime.now(UTC),
        table.time: datetime(2024, 1, 1 + offset % 3, tzinfo=UTC),
    }

"""A small lake of simulated payments: enough to learn from in a second, and known row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog

from config.lake import LakeTable, lake_tables
from config.settings import Settings
from config.topics import topics
from domain.fraud.pipeline import feature_rows
from lakehouse.catalog import catalog
from lakehouse.tables import apply
from orchestration.fraud.sources import simulated
from orchestration.fraud.train import Data, frame_of
from orchestration.training.frame import Frame
from tests.unit.orchestration.visits import visits

PAYMENTS, VECTORS, VERDICTS = "transactions", "fraud_features", "fraud_labels"
SESSIONS = "sessions"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = {"event_time", "produced_at"}


@dataclass(frozen=True, slots=True)
class SmallLake:
    """A month of payments from 2018-04-01 on, their vectors, and their verdicts a week later.

    And 3,000 sessions of the month's last day.
    """

    data: Data

    def frame(self, begin: int, until: int) -> Frame:
        """What a model should learn from, computed without the lake."""
        return frame_of(self.data).between(begin, until - self.data.delay_ms)


def fill(settings: Settings) -> SmallLake:
    """Make the lake of these settings."""
    data = simulated(days=30, customers=60, seed=5, strikes=80)
    payments, verdicts = data.payments.transactions(), list(data.payments.labels(data.delay_ms))
    lake = catalog(settings)
    append(lake, PAYMENTS, [asdict(one) for one in payments])
    vectors = feature_rows(data.payments.transactions(), verdicts)
    append(lake, VECTORS, list(vectors))
    # Files of a day in several commits, for upkeep to find.
    judged = [asdict(one) for one in verdicts]
    for part in range(4):
        append(lake, VERDICTS, judged[part::4], range(part, len(judged), 4))
    last = datetime(2018, 4, 30, tzinfo=UTC)
    append(lake, SESSIONS, visits(3000, last, timedelta(hours=20)))
    lake.engine.dispose()  # type: ignore[attr-defined]
    return SmallLake(data)


def append(
    lake: Catalog, name: str, rows: Sequence[dict[str, Any]], offsets: Sequence[int] | None = None
) -> None:
    """Add records to a table of bronze in one commit; times are in ms, as on the wire."""
    (table,) = (one for one in lake_tables(topics().values()) if one.name == name)
    apply(lake, [table])
    found = lake.load_table(table.identifier)
    places = range(len(rows)) if offsets is None else offsets
    placed = [_placed(table, offset, row) for offset, row in zip(places, rows, strict=True)]
    found.append(pa.Table.from_pylist(placed, schema=found.schema().as_arrow()))


def _placed(table: LakeTable, offset: int, row: dict[str, Any]) -> dict[str, Any]:
    timed = {
        name: _EPOCH + timedelta(milliseconds=value)
        if name in _TIMES and isinstance(value, int)
        else value
        for name, value in row.items()
    }
    place = {"_topic": table.topic, "_partition": 0, "_offset": offset}
    return {**place, "_ingested_at": timed["event_time"], **timed}

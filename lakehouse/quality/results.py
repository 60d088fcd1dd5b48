"""Keep the results of checks: in a table of the lake, and for Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from prometheus_client import CollectorRegistry, write_to_textfile
from pyiceberg.catalog import Catalog

from config import instruments
from lakehouse.reading import literal

TABLE = "ops.data_quality"
_SCHEMA = pa.schema(
    [
        ("checked_at", pa.timestamp("us", tz="UTC")),
        ("subject", pa.string()),
        ("snapshot_id", pa.int64()),
        ("check_name", pa.string()),
        ("field", pa.string()),
        ("level", pa.string()),
        ("passed", pa.bool_()),
        ("rows", pa.int64()),
        ("failed", pa.int64()),
        ("observed", pa.float64()),
        ("detail", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one check of a table (at a snapshot) or of a topic's sample."""

    subject: str
    check_name: str
    field: str
    level: str
    passed: bool
    rows: int
    failed: int
    observed: float | None = None
    detail: str = ""
    snapshot_id: int | None = None

    @property
    def stops(self) -> bool:
        """Return whether it is bad enough to stop what rests on the data."""
        return not self.passed and self.level == "error"

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        return asdict(self)


def keep(lake: Catalog, results: Sequence[Result], now: datetime) -> None:
    """Add the results to the lake's table of them, which is made if there is none.

    Those of the same subjects at the same time give way: a check done again counts once.
    """
    lake.create_namespace_if_not_exists(TABLE.partition(".")[0])
    table = lake.create_table_if_not_exists(TABLE, _SCHEMA)
    if not results:
        return
    rows = [{"checked_at": now, **one.as_dict()} for one in results]
    subjects = ", ".join(map(literal, sorted({one.subject for one in results})))
    again = f"checked_at = '{now.isoformat()}' and subject in ({subjects})"
    if table.scan(row_filter=again, selected_fields=("subject",)).count():
        table.overwrite(pa.Table.from_pylist(rows, schema=_SCHEMA), overwrite_filter=again)
    else:
        table.append(pa.Table.from_pylist(rows, schema=_SCHEMA))


def export(results: Sequence[Result], file: Path, now: datetime) -> None:
    """Write the results as a text file for the node exporter's textfile collector."""
    registry = CollectorRegistry()
    passed = instruments.gauge("millrace_data_quality_passed", registry)
    failed = instruments.gauge("millrace_data_quality_failed_rows", registry)
    checked = instruments.gauge("millrace_data_quality_checked_timestamp_seconds", registry)
    for one in results:
        named = (one.subject, one.check_name, one.field, one.level)
        passed.labels(*named).set(one.passed)
        failed.labels(*named).set(one.failed)
        checked.labels(one.subject).set(now.timestamp())
    file.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(file), registry)

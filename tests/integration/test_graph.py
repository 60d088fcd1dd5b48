"""Both readings of the fraud job's graph, through real Flink: its SQL gives what its twin gives.

The job's own views, from records as a source table holds them to the feature record, with and
without the log between customers and terminals. Only the tables that stand for topics are made up.
"""
# ruff: noqa: S608 - a test's own names

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from domain.events import FraudLabel, Transaction
from domain.fraud.features import FRAUD, TERMINAL_LOG
from domain.fraud.graph import GRAPH
from domain.fraud.pipeline import Customers, Place, Terminals, row_of
from domain.fraud.rows import INPUTS
from processing.graph import features, logged
from processing.jobs import fraud_features
from tests.integration.flink_home import run_script
from tests.integration.rolling_runs import SEEDS, Rows, compared, mixed

SEED = SEEDS[-1]
COLUMNS = [
    ("record_type", "STRING"),
    ("transaction_id", "STRING"),
    ("event_ms", "BIGINT"),
    ("customer_id", "STRING"),
    ("terminal_id", "STRING"),
    ("amount", "DOUBLE"),
    ("is_fraud", "BOOLEAN"),
    ("kafka_partition", "INT"),
    ("kafka_offset", "BIGINT"),
    ("kafka_ms", "BIGINT"),
]
TRANSACTIONS = (
    "SELECT *, TO_TIMESTAMP_LTZ(event_ms, 3) AS event_time, "
    "TO_TIMESTAMP_LTZ(kafka_ms, 3) AS kafka_time, CAST(NULL AS STRING) AS unreadable_reason "
    "FROM records"
)
LOG_PARTITION, LOG_AHEAD = 5, 1000
# As if each row of the log had been written at once, some offsets further on.
LOG = (
    f"SELECT *, {LOG_PARTITION} AS kafka_partition, `sequence` + {LOG_AHEAD} AS kafka_offset, "
    f"CAST(NULL AS STRING) AS unreadable_reason FROM ({logged(TERMINAL_LOG, 'known')})"
)
EDGES = (
    "2026-03-06T23:59:59.999",
    "2026-03-07T00:00:00.000",
    "2026-03-08T06:59:59.999",
    "2026-03-08T07:00:00.000",
    "2026-03-08T23:59:59.999",
    "2026-03-09T00:00:00.000",
    "1970-01-01T00:00:00.000",
)
TIMES = frozenset(name for name, kind in INPUTS if kind == "TIMESTAMP")
DOUBLES = frozenset(name for name, kind in FRAUD.computed().items() if kind == "DOUBLE")
NOT_FINITE = ("Infinity", "-Infinity", "NaN")

Event = Transaction | FraudLabel


def milliseconds(instant: str) -> int:
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


def events() -> list[Event]:
    """Payments, verdicts and repeats of both, with hours and days at their edges."""
    found: list[Event] = [
        Transaction(
            transaction_id=instant,
            event_time=milliseconds(f"{instant}Z"),
            customer_id="edge",
            terminal_id="edge",
            amount=-0.0,
        )
        for instant in (*EDGES, EDGES[0])
    ]
    verdict = FraudLabel(
        transaction_id=EDGES[0],
        event_time=milliseconds(f"{EDGES[1]}Z"),
        customer_id="edge",
        terminal_id="edge",
        is_fraud=True,
    )
    found.insert(2, verdict)
    for n, row in enumerate(mixed("g", [80] * 10, SEED)):
        if row["t"] is None or row["t"] < 0:  # where Flink's HOUR() is wrong
            continue
        common = {
            "transaction_id": row["id"] or f"n{n}",
            "event_time": row["t"],
            "customer_id": row["stream"],
            "terminal_id": row["s"] or "none",
        }
        if row["kind"] == "label":
            found.append(FraudLabel(**common, is_fraud=bool(row["flag"])))
        else:
            x = row["x"]
            amount = x if x is not None and math.isfinite(x) else float(n)
            found.append(Transaction(**common, amount=amount))
    return found


def placed() -> list[tuple[Event, Place]]:
    """Each event with its place, which is no other's by the offset alone."""
    return [
        (event, Place(n % 3, n, event.event_time + n % 5000)) for n, event in enumerate(events())
    ]


def written(event: Event, place: Place) -> str:
    """An event as a line of the source table: fields of other records are NULL."""
    fields = {**dict.fromkeys(("amount", "is_fraud")), **asdict(event)}
    fields["event_ms"] = fields.pop("event_time")
    if fields["amount"] is not None:
        fields["amount"] = repr(fields["amount"])
    return json.dumps(
        {
            "record_type": type(event).__name__,
            **fields,
            "kafka_partition": place.partition,
            "kafka_offset": place.offset,
            "kafka_ms": place.timestamp,
        },
        ensure_ascii=False,
    )


def read(folder: Path) -> Rows:
    """The rows written below `folder`, by their offset; times in ms."""
    rows: dict[int, dict[str, Any]] = {}
    for part in folder.rglob("*"):
        if part.is_file() and not part.name.startswith((".", "_")):
            for line in part.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                for name in TIMES & row.keys():
                    row[name] = row[name] and milliseconds(row[name])
                row |= {name: float(row[name]) for name in DOUBLES if row.get(name) in NOT_FINITE}
                assert rows.setdefault(row["sequence"], row) is row, "a row came out twice"
    return rows


def twin(rows: Mapping[int, Mapping[str, Any]], several: bool) -> Rows:
    """The feature records of the rows, by offset."""
    customers, terminals, found = Customers(), Terminals(), {}
    for offset, row in rows.items():
        between = customers.process(row)
        if between is None:
            continue
        if several:
            between = {
                **{name: between[name] for name in TERMINAL_LOG.columns()},
                "order_partition": LOG_PARTITION,
                "order_sequence": offset + LOG_AHEAD,
            }
        if (out := terminals.process(between)) is not None:
            found[offset] = out
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("several", [False, True], ids=["directly", "by the log"])
def test_the_views_give_what_the_twin_gives(tmp_path: Path, several: bool) -> None:
    records = placed()
    lines = [written(*record) for record in records]
    (tmp_path / "records.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    views = {"transactions": TRANSACTIONS}
    for name, query in fraud_features.views(several=several).items():
        if name == "log_readable":
            views["fraud_terminal_log"] = LOG
        views[name] = query
    outputs = {"rows": "SELECT * FROM events", "features": features(GRAPH, "terminals")}
    job = {
        "input": str(tmp_path / "records.json"),
        "columns": COLUMNS,
        "views": views,
        "outputs": {str(tmp_path / name): query for name, query in outputs.items()},
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    run_script("graph_job.py", tmp_path / "job.json")

    def where(offset: int) -> str:
        return f"MILLRACE_SEED={SEED}: {records[offset][0]}"

    expected = {place.offset: row_of(event, place) for event, place in records}
    assert not (wrong := compared(expected, read(tmp_path / "rows"), where)), wrong[:20]
    vectors = twin(expected, several)
    got = read(tmp_path / "features")
    assert not (wrong := compared(vectors, got, where)), wrong[:20]
    assert all(row.keys() == set(GRAPH.table.columns) for row in got.values())
    kinds = [row["kind"] for row in expected.values()]
    assert 0 < len(vectors) < kinds.count("transaction"), "payments that were repeated are dropped"
    assert kinds.count("label") > 0

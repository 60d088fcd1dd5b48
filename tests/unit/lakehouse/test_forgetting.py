"""A person is gone from every snapshot and every byte of the lake, and nobody misses the rows."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import Table

from config.errors import RetryableError
from config.topics import topics
from ingestion.persons import topics_of
from lakehouse import forgotten
from lakehouse.forgetting import Rows, anywhere, delete, purge
from lakehouse.fraud import verification
from lakehouse.fraud.log import Log
from lakehouse.fraud.verification import Verifier
from lakehouse.persons import left, quarantined, removed
from lakehouse.positions import commits, next_offsets, written
from lakehouse.query import ask, connect
from lakehouse.reading import Moment, tables
from lakehouse.upkeep import orphans
from lakehouse.upkeep.compaction import Limits, compact
from lakehouse.upkeep.expiry import expired
from tests.unit.lakehouse.fraud_lake import DAY, HOUR, START, Event, FraudLake, pay, vectors
from tests.unit.lakehouse.lakes import lake

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")

PERSON = "person-77f3"
JOB, CHECKPOINT, OPERATOR = (
    "flink.job-id",
    "flink.max-committed-checkpoint-id",
    "flink.operator-id",
)
PLAIN = {"write.parquet.compression-codec": "uncompressed", "write.avro.compression-codec": "null"}


def _filled(folder: Path) -> FraudLake:
    """Commits with and without the person, in files that hide no byte; the last row is theirs."""
    of = FraudLake(lake(folder))
    for name in ("transactions", "fraud_features", "quarantine"):
        with of.lake.load_table(("bronze", name)).transaction() as change:
            change.set_properties(PLAIN)
    events: list[Event] = [
        pay(f"t{at}", START + at * 6 * HOUR, PERSON if at % 3 == 2 else f"c{at % 3}", "k")
        for at in range(12)
    ]
    for first in (0, 4, 8):
        of.log(events, first, without=range(first + 4, 12))
    of.vectors(vectors(events))
    aside = {
        "_topic": "quarantine",
        "_partition": 0,
        "_ingested_at": START,
        "source_topic": "transactions",
        "source_partition": 0,
        "source_time": START,
        "reason": "truncated",
        "quarantined_at": START,
        "replayed": False,
    }
    of.append(
        "quarantine",
        [
            {**aside, "_offset": 0, "source_offset": 90, "key": PERSON.encode(), "value": b"x"},
            {**aside, "_offset": 1, "source_offset": 91, "key": b"c1", "value": b"y"},
            {
                **aside,
                "_offset": 2,
                "source_offset": 92,
                "key": None,
                "value": b"\x00\x02" + bytes([len(PERSON) * 2]) + PERSON.encode() + b"\x02k",
            },
        ],
    )
    return of


def _bytes(folder: Path) -> list[str]:
    """The files of the warehouse that hold the person's id."""
    return [
        str(path.relative_to(folder))
        for path in (folder / "warehouse").rglob("*")
        if path.is_file() and PERSON.encode() in path.read_bytes()
    ]


def _gone(of: FraudLake) -> Counter[str]:
    done = removed(of.lake, PERSON, topics(), datetime.now(UTC))
    return Counter({one.table: one.rows for one in done})


def test_nothing_of_a_person_is_in_any_snapshot_or_byte(tmp_path: Path) -> None:
    of = _filled(tmp_path)
    before = _bytes(tmp_path)
    assert any(name.endswith(".parquet") for name in before)
    assert any(name.endswith(".avro") for name in before), "bounds in manifests"
    others = _rows(of, "transactions", f"customer_id <> '{PERSON}'")
    assert _gone(of) == {
        "bronze.transactions": 4,
        "bronze.fraud_features": 4,
        "bronze.quarantine": 2,
    }
    assert _bytes(tmp_path) == []
    assert left(of.lake, PERSON, topics()) == []
    assert _rows(of, "transactions", "true") == others
    with connect("256MB", tmp_path / "spill") as con:
        for name in tables(of.lake):
            table = of.lake.load_table(name)
            assert table.metadata.snapshots or name.startswith("bronze.fraud_")
            for snapshot in table.metadata.snapshots:
                moment = Moment(snapshot=snapshot.snapshot_id)
                answer = ask(con, of.lake, f"from {name}", moment)
                assert PERSON not in repr(list(answer.rows))
    assert _gone(of) == {}, "a second run finds nothing to do"


def _rows(of: FraudLake, name: str, where: str) -> list[dict[str, Any]]:
    found = of.lake.load_table(("bronze", name)).scan().to_arrow().to_pylist()
    kept = [one for one in found if where == "true" or one["customer_id"] != PERSON]
    return sorted(kept, key=lambda one: one["_offset"])


def test_a_table_that_never_had_the_person_keeps_its_past(tmp_path: Path) -> None:
    of = FraudLake(lake(tmp_path))
    of.log([pay("a", START, "c", "k")])
    of.log([pay("b", START, "c", "k")])
    before = of.lake.load_table("bronze.transactions").metadata.snapshots
    assert _gone(of) == {}
    assert of.lake.load_table("bronze.transactions").metadata.snapshots == before


def test_the_job_does_not_read_removed_rows_again_and_nobody_misses_them(tmp_path: Path) -> None:
    of = _filled(tmp_path)
    table = of.lake.load_table("bronze.transactions")
    assert next_offsets({"transactions": table}) == {0: 12}
    _gone(of)
    table.refresh()
    assert max(one["_offset"] for one in _rows(of, "transactions", "true")) == 10
    assert written(table) == {0: 11}
    assert next_offsets({"transactions": table}) == {0: 12}
    assert sorted(forgotten.places(of.lake)["transactions", 0]) == [2, 5, 8, 11]


def test_vectors_that_the_removed_rows_bore_on_are_not_judged_the_others_are(
    tmp_path: Path,
) -> None:
    of = FraudLake(lake(tmp_path))
    events: list[Event] = [
        pay("a", START, "c1", "k1"),
        pay("b", START + HOUR, PERSON, "k1"),
        pay("c", START + 2 * HOUR, "c1", "k1"),
        pay("d", START + 3 * HOUR, "c2", "k2"),
        pay("e", START + 80 * DAY, "c2", "k1"),
    ]
    of.log(events)
    of.vectors(vectors(events))
    _gone(of)
    with connect("256MB", tmp_path / "spill") as con:
        found = {one.transaction_id: one for one in Verifier(Log(con, of.lake), DAY).sample(9, 1)}
    assert {name: one.why for name, one in found.items()} == {
        "a": None,
        "c": verification.FORGOTTEN,
        "d": None,
        "e": None,
    }
    assert all(one.equal for one in found.values() if one.why is None)


def _flink(table: Table, rows: list[dict[str, Any]], checkpoint: int) -> None:
    arrow = pa.Table.from_pylist(rows, schema=table.schema().as_arrow())
    said = {JOB: "job", OPERATOR: "sink", CHECKPOINT: str(checkpoint)}
    while True:
        try:
            table.append(arrow, snapshot_properties=said)
        except (CommitFailedException, ValidationException):
            # The second: PyIceberg misses the snapshot that it began from. Flink asks for none.
            table.refresh()
        else:
            return


def _row(offset: int, customer: str) -> dict[str, Any]:
    return {
        "_topic": "transactions",
        "_partition": 0,
        "_offset": offset,
        "_ingested_at": datetime.now(UTC),
        "event_time": datetime(2026, 3, 1 + offset % 2, tzinfo=UTC),
        "transaction_id": f"t{offset}",
        "customer_id": customer,
        "terminal_id": "k",
        "amount": 1.0,
    }


def test_flinks_newest_checkpoint_is_found_though_its_snapshot_expired(tmp_path: Path) -> None:
    of = FraudLake(lake(tmp_path))
    table = of.lake.load_table("bronze.transactions")
    for checkpoint in (1, 2, 3):
        _flink(table, [_row(checkpoint, PERSON)], checkpoint)
    compact(table, Limits(files=1))
    _gone(of)
    table.refresh()
    (only,) = table.metadata.snapshots
    assert only.summary is not None
    told = only.summary.additional_properties
    assert (told[JOB], told[OPERATOR], told[CHECKPOINT]) == ("job", "sink", "3")
    assert [one.checkpoint for one in commits(table)] == [3]
    assert expired(table, datetime.now(UTC) + timedelta(days=1)) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_beside_a_writer_no_other_row_is_lost_or_doubled(tmp_path: Path, seed: int) -> None:
    of = FraudLake(lake(tmp_path))
    turns, failed = 12, list[BaseException]()

    def write() -> None:
        draw = random.Random(seed)
        mine = lake(tmp_path).load_table("bronze.transactions")
        try:
            for at in range(turns):
                rows = [_row(at * 4 + one, PERSON if one == 3 else f"c{one}") for one in range(4)]
                _flink(mine, rows, at + 1)
                time.sleep(draw.random() / 40)
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        compact(of.lake.load_table("bronze.transactions"), Limits(files=3))
        _gone(of)
    writer.join()
    _gone(of)
    assert failed == []
    table = of.lake.load_table("bronze.transactions")
    places = Counter(table.scan().to_arrow()["_offset"].to_pylist())
    assert places == Counter(at for at in range(turns * 4) if at % 4 != 3)
    assert set(forgotten.places(of.lake)["transactions", 0]) == set(range(3, turns * 4, 4))
    assert next(commits(table)).checkpoint == turns
    assert left(of.lake, PERSON, topics()) == []


def test_a_tag_that_keeps_the_past_is_told(tmp_path: Path) -> None:
    of = _filled(tmp_path)
    table = of.lake.load_table("bronze.transactions")
    with table.manage_snapshots() as manage:
        manage.create_tag(table.metadata.snapshots[0].snapshot_id, "audit")
    (one,) = [
        one
        for one in removed(of.lake, PERSON, topics(), datetime.now(UTC))
        if one.table == "bronze.transactions"
    ]
    assert one.kept_by == ("audit",)
    assert left(of.lake, PERSON, topics()) == ["bronze.transactions"]


def test_marts_are_made_anew_between_removal_and_purge(tmp_path: Path) -> None:
    of = FraudLake(lake(tmp_path))
    of.log([pay("a", START, PERSON, "k"), pay("b", START, "c", "k")])
    rows = pa.table({"customer_id": [PERSON, "c"], "spent": [1, 2]})
    of.lake.create_table("gold.customer_value", rows.schema).append(rows)
    seen: list[tuple[int, int]] = []

    def rebuild() -> None:
        bronze, gold = (
            of.lake.load_table(name) for name in ("bronze.transactions", "gold.customer_value")
        )
        seen.append((len(bronze.scan().to_arrow()), len(bronze.metadata.snapshots)))
        gold.append(pa.table({"customer_id": ["d"], "spent": [3]}))

    list(removed(of.lake, PERSON, topics(), datetime.now(UTC), rebuild))
    assert seen == [(1, 1)]
    gold = of.lake.load_table("gold.customer_value")
    assert sorted(gold.scan().to_arrow()["customer_id"].to_pylist()) == ["c", "d"]
    assert len(gold.metadata.snapshots) == 1


def test_a_run_that_ended_half_way_is_finished_by_the_next(tmp_path: Path) -> None:
    of = FraudLake(lake(tmp_path))
    of.log([pay("a", START, PERSON, "k"), pay("b", START, "c", "k")])
    rows = pa.table({"customer_id": [PERSON, "c"], "spent": [1, 2]})
    of.lake.create_table("gold.customer_value", rows.schema).append(rows)

    def broken() -> None:
        raise RetryableError("another build of the marts is running")

    with pytest.raises(RetryableError):
        list(removed(of.lake, PERSON, topics(), datetime.now(UTC), broken))
    assert left(of.lake, PERSON, topics()) == ["gold.customer_value"], "older snapshots"
    called: list[bool] = []
    done = removed(of.lake, PERSON, topics(), datetime.now(UTC), lambda: called.append(True))
    assert {one.table: one.rows for one in done} == {"gold.customer_value": 0}
    assert called == [True], "sums are made anew, though the rows were gone"
    assert left(of.lake, PERSON, topics()) == []


def test_quarantine_holds_a_person_by_key_or_by_the_id_as_avro_writes_it() -> None:
    names = {one.name for one in topics_of(topics())}
    assert {"transactions", "fraud-features", "fraud-scores", "transaction-labels"} <= names
    assert not {"shop-events", "sensor-readings"} & names
    rows = pa.table(
        {
            "source_topic": ["transactions", "transactions", "fraud-scores", "shop-events"],
            "key": pa.array([b"ab", b"x", b"ab", b"ab"], pa.binary()),
            "value": pa.array([None, b"..\x04ab..", b"", b""], pa.binary()),
        }
    )
    mask = quarantined("ab", topics_of(topics())).mask(rows)
    assert mask.to_pylist() == [True, False, False, False]
    longer = rows.set_column(2, "value", pa.array([None, b".\x08abcdz", b"abcd", b"\x08abcd"]))
    mask = quarantined("abcd", topics_of(topics())).mask(longer)
    assert mask.to_pylist() == [False, True, True, False]
    values = [b'{"customer_id": "c-77"}', b'"c-770"', b'"xc-77"', b"\xff\x00c-77\n"]
    plain = pa.table(
        {
            "source_topic": ["transactions"] * 4,
            "key": pa.array([None] * 4, pa.binary()),
            "value": pa.array(values, pa.binary()),
        }
    )
    mask = quarantined("c-77", topics_of(topics())).mask(plain)
    assert mask.to_pylist() == [True, False, False, True]


def test_rows_go_from_one_table_alone(tmp_path: Path) -> None:
    of = FraudLake(lake(tmp_path))
    of.log([pay("a", START, "x", "k"), replace(pay("b", START, "y", "k"), amount=2.0)])
    rows = Rows.equal("customer_id", "x")
    assert delete(of.lake, "bronze.transactions", rows) == 1
    table = of.lake.load_table("bronze.transactions")
    assert anywhere(table, rows)
    assert purge(table, datetime.now(UTC))[0] == 2
    assert not anywhere(table, rows)


def test_files_that_flink_has_not_committed_yet_outlive_a_removal(tmp_path: Path) -> None:
    """The removal repeats Flink's checkpoint hours later: it is no commit of Flink's."""
    of = FraudLake(lake(tmp_path))
    table = of.lake.load_table("bronze.transactions")
    _flink(table, [_row(1, PERSON)], 1)
    committed = table.metadata.snapshots[-1].timestamp_ms
    waiting = Path(table.location().removeprefix("file://")) / "data" / "waiting.parquet"
    waiting.write_bytes(b"of a checkpoint whose commit is to come")
    time.sleep(0.01)
    for _ in range(2):
        assert purge(table, datetime.now(UTC))[0] > 0
        assert [orphans.committed_ms(one) for one in table.metadata.snapshots] == [committed]
    a_day_on = datetime.fromtimestamp(committed / 1000, UTC) + timedelta(days=1)
    os.utime(waiting, (committed / 1000 + 1, committed / 1000 + 1))
    assert orphans.orphans(table, timedelta(hours=1), a_day_on) == []


def test_files_that_a_killed_run_left_go_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshots have expired, and no snapshot tells any more that the files are there."""
    of = _filled(tmp_path)

    class KilledError(BaseException):
        pass

    def killed(_io: object, _path: str) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(PyArrowFileIO, "delete", killed)
        with pytest.raises(KilledError):
            _gone(of)
    assert _bytes(tmp_path) != []
    assert _gone(of)
    assert _bytes(tmp_path) == []
    assert _gone(of) == {}


def test_a_file_that_stays_is_counted_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = _filled(tmp_path)
    removes = PyArrowFileIO.delete

    def refused(io: PyArrowFileIO, path: str) -> None:
        if path.endswith(".parquet"):
            raise PermissionError(path)
        removes(io, path)

    with monkeypatch.context() as patched:
        patched.setattr(PyArrowFileIO, "delete", refused)
        done = list(removed(of.lake, PERSON, topics(), datetime.now(UTC)))
    assert all(one.stuck for one in done)
    assert len(done) == 3
    assert _bytes(tmp_path) != []
    assert set(_gone(of)) == {one.table for one in done}
    assert _bytes(tmp_path) == []
    assert list((tmp_path / "warehouse").rglob("purging-*")) == []

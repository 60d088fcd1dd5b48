"""The lake's job while everything is killed around it, and while a contract changes under it.

On a stack of its own: Kafka, registry, Flink, the keeper, and no job but the lake's. It commits
every other second, and a product outside this repository adds a topic of two partitions.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from config.errors import UserError
from config.files import write
from config.settings import Settings
from config.topics import topics
from ingestion import schema as contracts
from ingestion.kafka.producer import KafkaSink
from ingestion.kafka.topics import TopicsAdmin, admin
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from lakehouse.catalog import catalog
from lakehouse.check import Checker
from lakehouse.listing import size
from lakehouse.positions import JOB_ID, told
from lakehouse.query import ask, connect
from lakehouse.tables import apply
from lakehouse.upkeep.compaction import Limits, compact
from lakehouse.upkeep.orphans import remove
from millrace.flink import lineage, submission
from millrace.flink.submission import Wanted
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from tests.integration.exercises.lakehouse import JOB, Lake, tables
from tests.integration.lake_upkeep import Upkeep
from tests.integration.parts import paced, plug, until

pytestmark = pytest.mark.long

SEED = int(os.environ.get("MILLRACE_TEST_SEED", "12"))
COMMIT_S, RATE = 2, 60
VISITS, VISITED = "visits", "bronze.visits"
OLD_S = 3 * 86_400
# Kills of one line come at once. With the JobManager's and the keeper's they are ten.
ROUNDS = (
    ("taskmanager",),
    ("taskmanager", "upkeep"),
    ("kafka", "upkeep"),
    ("kafka", "taskmanager"),
    ("upkeep",),
)

PRODUCT = """
name: visits
group: visits
"""
TOPICS = """
topics:
  visits: {key: visitor, schema: Visit, partitions: 2, lake: at}
"""
RECORD = '{"type": "record", "name": "Visit", "namespace": "v", "doc": "A visit.", "fields": [%s]}'
FIELDS = (
    '{"name": "visit_id", "type": "string", "doc": "which"}',
    '{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}, "doc": "when"}',
    '{"name": "visitor", "type": "string", "doc": "who"}',
)
GAINED = '{"name": "device", "type": ["null", "string"], "default": null, "doc": "by what"}'


@dataclass(frozen=True, slots=True)
class House:
    """The stack, and the folder of the product outside."""

    stack: Stack
    folder: Path

    @property
    def settings(self) -> Settings:
        return self.stack.settings

    def contract(self, *fields: str) -> None:
        write(self.folder / "schema" / "Visit.avsc", RECORD % ", ".join(fields))

    def rows(self, name: str) -> int:
        return size(catalog(self.settings).load_table(name)).rows

    def devices(self) -> dict[str, str | None]:
        """Return each visit's device, as a query sees it."""
        con = connect(self.settings.lake_memory, self.settings.lake_spill)
        query = "select visit_id, device from bronze.visits"
        rows = list(ask(con, catalog(self.settings), query).rows)
        found = dict(rows)
        assert len(found) == len(rows), "a visit is there twice"
        return found


def _visit(n: int) -> dict[str, Any]:
    return {"visit_id": f"v{n}", "at": 1_750_000_000_000 + n * 1000, "visitor": f"visitor {n % 7}"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("visits")
    write(folder / "product.yaml", PRODUCT)
    write(folder / "topics.yaml", TOPICS)
    environ = {
        "MILLRACE_PRODUCTS_PATH": str(folder),
        "MILLRACE_GROUPS": "lake,visits",
        "MILLRACE_LAKE_COMMIT_SECONDS": str(COMMIT_S),
    }
    with shifted(tmp_path_factory.mktemp("lake"), SECOND_OFFSET, environ) as stack:
        made = House(stack, folder)
        made.contract(*FIELDS)
        stack.up("jobs")
        yield made


@pytest.fixture
def lake(house: House) -> Iterator[Lake]:
    with plug(house.settings) as (sink, codec):
        yield Lake.of(house.settings, sink, codec, f"lake-{uuid.uuid4().hex[:8]}")


@contextmanager
def _visitors(lake: Lake, start: int) -> Iterator[list[int]]:
    """Visits of producers that know nothing of the new field; yields their numbers."""
    sent: list[int] = []

    def sending() -> Iterator[int]:
        for n in count(start):
            visit = _visit(n)
            lake.sink.send(VISITS, visit["visitor"], lake.codec.encode(VISITS, visit))
            sent.append(n)
            yield n

    with paced(sending(), RATE):
        yield sent


@pytest.mark.timeout(600)
def test_each_record_is_in_the_lake_once_whatever_is_killed(house: House, lake: Lake) -> None:
    chance = random.Random(SEED)
    upkeep, rounds = Upkeep(chance), list(ROUNDS)
    chance.shuffle(rounds)
    with paced(lake.sending(), RATE), _visitors(lake, 0), upkeep.running():
        for names in rounds:
            _committed(house, lake)
            time.sleep(chance.uniform(0.0, COMMIT_S))
            for name in names:
                upkeep.kill() if name == "upkeep" else house.stack.kill(name)
        until(
            "upkeep and marts were at work", lambda: upkeep.done["upkeep"] and upkeep.done["marts"]
        )
    assert upkeep.wrong == []
    assert upkeep.groups > 0, "nothing was compacted: that it does no harm was not shown"
    assert upkeep.expired > 0
    lake.through()
    lake.verify()
    of = catalog(house.settings)
    assert all(one.complete for one in Checker(house.settings, of, lake.codec).check())
    _silver_has_each_id_once(house, lake)
    _orphans_go_and_nothing_else(house)
    lake.verify()


def _committed(house: House, lake: Lake) -> None:
    """Wait until the tables have a record that was sent after now: the job lives and commits."""
    sent = lake.sent

    def there() -> bool:
        return house.rows("bronze.transactions") + house.rows("bronze.fraud_labels") > sent

    until("the job commits", there, 120, 0.3)


def _silver_has_each_id_once(house: House, lake: Lake) -> None:
    house.stack.cli("marts", "build", "--select", "silver", "--no-test")
    of = catalog(house.settings)
    for name, sent in (
        ("transactions", {one.transaction_id for one in lake.payments}),
        ("fraud_labels", {one.transaction_id for one in lake.verdicts}),
    ):
        found = of.load_table(("silver", name)).scan(selected_fields=("transaction_id",))
        assert Counter(found.to_arrow()["transaction_id"].to_pylist()) == Counter(sent)


def _orphans_go_and_nothing_else(house: House) -> None:
    """When all files are old, among them those that killed writers have left."""
    warehouse = Path(house.settings.lake_files.removeprefix("file://"))
    planted = warehouse / "bronze" / "transactions" / "data" / "planted.parquet"
    planted.write_bytes(b"left by somebody")
    old = time.time() - OLD_S
    for file in warehouse.rglob("*"):
        if file.is_file():
            os.utime(file, (old, old))
    of = catalog(house.settings)
    removed = [
        remove(of.load_table(one.identifier), timedelta(hours=1), datetime.now(UTC))
        for one in tables()
    ]
    assert sum(map(len, removed)) > 1, "killed writers have left files"
    assert not planted.exists()


@pytest.mark.timeout(300)
def test_a_contract_gains_a_field_and_the_job_goes_on_from_its_tables(
    house: House, lake: Lake
) -> None:
    """Old producers go on all the while. The JobManager dies, and with it what Flink knew."""
    settings = house.settings
    early, late = range(2_000_000, 2_000_050), range(3_000_000, 3_000_050)
    with _visitors(lake, 1_000_000) as unaware:
        until("producers have begun", lambda: len(unaware) > 20)
        house.contract(*FIELDS, GAINED)
        contracts.reread()
        with Registry(settings.registry_url) as registry:
            TopicsAdmin(admin(settings.kafka_bootstrap), registry).apply(topics())
            aware = Codec(registry)
            _send(lake.sink, aware, early)
            (added,) = apply(catalog(settings), tables())
            assert (added.table, added.what) == (VISITED, "column device string added")
            until("they are in the lake", partial(_has, house, early[-1]), pause=0.5)
            checkpoint = lineage.latest(settings, JOB)
            house.stack.kill("jobmanager")
            house.stack.kill("jobs")
            # No checkpoint completes any more, so nobody commits them who does not know the field.
            _send(lake.sink, aware, late)
        time.sleep(1.0)  # a commit may be under way
        _forget_what_flink_committed(house)
        until("they are in the lake", partial(_has, house, late[-1]), pause=0.5)
    with pytest.raises(UserError, match="goes on from what it has written, never from a savepoint"):
        submission.submit(settings, Wanted(JOB, checkpoint))
    lake.through()
    lake.verify()
    found = house.devices()
    assert {found[f"v{n}"] for n in unaware} == {None}
    assert {found[f"v{n}"] for n in early} == {None}, "the job did not know the field yet"
    assert all(found[f"v{n}"] == f"d{n}" for n in late)


def _send(sink: KafkaSink, codec: Codec, numbers: range) -> None:
    for n in numbers:
        visit = {**_visit(n), "device": f"d{n}"}
        sink.send(VISITS, visit["visitor"], codec.encode(VISITS, visit))
    sink.flush(30)


def _has(house: House, number: int) -> bool:
    rows = catalog(house.settings).load_table(VISITED).scan(f"visit_id = 'v{number}'").to_arrow()
    return bool(len(rows))


def _forget_what_flink_committed(house: House) -> None:
    """Leave one snapshot, which is upkeep's: none tells which checkpoint the table has."""
    table = catalog(house.settings).load_table(VISITED)
    assert compact(table, Limits(files=2)).groups
    newest = table.current_snapshot()
    assert newest is not None
    ids = [one.snapshot_id for one in table.snapshots() if one.snapshot_id != newest.snapshot_id]
    table.maintenance.expire_snapshots().by_ids(ids).commit()
    assert [JOB_ID in told(one) for one in table.refresh().snapshots()] == [False]

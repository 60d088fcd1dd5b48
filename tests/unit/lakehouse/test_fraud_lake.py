"""What fraud's model learns from in the lake: a few vectors and verdicts, told by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from config.errors import UserError
from config.settings import Settings
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from lakehouse.pinned import Pinned, ask
from lakehouse.query import connect
from orchestration.fraud.lake import VECTORS, VERDICTS, Lake
from orchestration.fraud.retrain import Fraud
from orchestration.retraining.handover import Run
from orchestration.retraining.product import Window
from orchestration.retraining.steps import Steps
from tests.unit.lakehouse.lakes import append, bronze, lake
from tests.unit.orchestration.retrainings import silent

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


DAY = Window(ms(NOON), ms(NOON + 48 * HOUR))
"""Payments of a day, and another day for their verdicts."""


def vector(name: str, hours: float, sequence: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "transaction_id": name,
        "event_time": NOON + hours * HOUR,
        "customer_id": f"customer of {name}",
        "terminal_id": "k",
        "amount": 1.5,
        "partition": 0,
        "sequence": sequence,
        "feature_set_version": GRAPH.version,
        **more,
    }


def verdict(name: str, hours: float, *, is_fraud: bool) -> dict[str, Any]:
    return {
        "transaction_id": name,
        "event_time": NOON + hours * HOUR,
        "customer_id": f"customer of {name}",
        "terminal_id": "k",
        "is_fraud": is_fraud,
    }


@dataclass
class World:
    """A lake of two tables."""

    folder: Path
    catalog: SqlCatalog
    vectors: Table
    verdicts: Table

    def log(self, *rows: dict[str, Any]) -> None:
        append(self.vectors, "fraud-features", rows)

    def judge(self, *rows: dict[str, Any]) -> None:
        append(self.verdicts, "transactions", rows)

    def ask(self, query: str, names: Sequence[str], pinned: Mapping[str, int]) -> Pinned:
        with connect("500MB", self.folder / "spill") as con:
            return ask(con, self.catalog, query, names, pinned)

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder), self.ask, delay_ms=ms(NOON + 24 * HOUR) - ms(NOON))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    catalog = lake(tmp_path / "lake")
    made = bronze(catalog, "fraud_features", "FraudFeatures")
    yield World(tmp_path, catalog, made, bronze(catalog, "fraud_labels", "FraudLabel"))
    catalog.engine.dispose()


def test_the_frame_is_what_was_logged_with_what_was_known(world: World) -> None:
    world.log(
        vector("later", 3, 7, amount=30.0, customer_count_30d=2, customer_mean_30d=0.1),
        vector("before", -0.001),
        vector("first", 0, 5, amount=10.25, terminal_plain_7d=1),
        vector("same time", 3, 6, amount=20.0),
        vector("nobody judged it", 4),
        vector("judged too late", 5),
        vector("after", 24),
        vector("later", 3, 7, amount=99.0),  # produced again after a kill
        vector("later", 3, 7, feature_set_version="fraud-older", amount=77.0),
        vector("older", 6, feature_set_version="fraud-older"),
    )
    every = ("later", "before", "after", "older")
    world.judge(
        *(verdict(name, 10, is_fraud=True) for name in every),
        verdict("first", 1, is_fraud=True),
        verdict("first", 24, is_fraud=False),  # a correction in time
        verdict("same time", 5, is_fraud=True),
        verdict("same time", 27.001, is_fraud=False),  # more than a day after the payment
        verdict("judged too late", 29.001, is_fraud=True),
    )
    found = world.lake.read(DAY, {}, silent)
    frame = found.frame
    assert frame.features == FRAUD.model
    assert frame.event_time.tolist() == [ms(NOON), ms(NOON + 3 * HOUR), ms(NOON + 3 * HOUR)]
    assert frame.y.tolist() == [False, True, True]
    names = [f"customer of {name}" for name in ("first", "same time", "later")]
    assert frame.customer.tolist() == names
    nan = float("nan")
    wanted = {
        "amount": [10.25, 20.0, 30.0],
        "terminal_plain_7d": [1.0, nan, nan],
        "customer_count_30d": [nan, nan, 2.0],
        "customer_mean_30d": [nan, nan, 0.1],
        "terminal_labels_7d": [nan, nan, nan],
    }
    for name, values in wanted.items():
        column = frame.x[:, FRAUD.model.index(name)]
        np.testing.assert_array_equal(column, np.array(values))
    assert found.origin["snapshots"] == {
        VECTORS: _newest(world, "fraud_features"),
        VERDICTS: _newest(world, "fraud_labels"),
    }


def test_the_same_date_is_the_same_frame_however_the_lake_has_grown(world: World) -> None:
    world.log(*(vector(f"t{at}", at / 10, at, amount=float(at)) for at in range(100)))
    world.judge(*(verdict(f"t{at}", 12, is_fraud=at % 9 == 0) for at in range(100)))
    settings = Settings(state_dir=world.folder)
    run = Run.of(world.folder / "retraining", "fraud", NOON + 48 * HOUR)
    steps = Steps(Fraud(settings, lambda: world.lake), run, world.folder / "models" / "fraud")
    first = steps.extract(2, silent)
    assert (first["rows"], first["frauds"]) == (100, 12)
    assert list(first["origin"]["snapshots"]) == [VECTORS, VERDICTS]
    (run.folder / "frame.parquet").unlink()
    world.log(*(vector(f"t{at}", at / 10, at) for at in range(100, 150)))
    world.judge(*(verdict(f"t{at}", 12, is_fraud=True) for at in range(150)))
    assert steps.extract(2, silent) == first
    assert run.frame().digest() == first["digest"]
    kept = json.loads((run.folder / "extract.json").read_text())
    assert kept["asked"]["lake"] == str(world.folder)
    other = Run.of(world.folder / "another", "fraud", NOON + 48 * HOUR)
    again = Steps(steps.product, other, steps.shelf).extract(2, silent)
    assert (again["rows"], again["frauds"]) == (150, 150), "what was not pinned is read as it is"


def test_many_rows_are_in_order_of_time(world: World) -> None:
    order = np.random.default_rng(3).permutation(20_000)
    for part in np.array_split(order, 4):
        world.log(*(vector(f"t{at}", int(at) / 1000, int(at)) for at in part))
    world.judge(*(verdict(f"t{at}", 23, is_fraud=at == 7) for at in range(20_000)))
    frame = world.lake.read(DAY, {}, silent).frame
    assert frame.customer.tolist() == [f"customer of t{at}" for at in range(20_000)]
    assert np.flatnonzero(frame.y).tolist() == [7]


def test_nothing_to_read_is_told(world: World) -> None:
    world.log(vector("t", 1))
    words = f"the lake has no vectors of {GRAPH.version} from 2026-03-01T12:00:00.00:00 to"
    with pytest.raises(UserError, match=words):
        world.lake.read(DAY, {}, silent)


def test_a_snapshot_that_has_expired_is_told(world: World) -> None:
    world.log(vector("t", 1))
    with pytest.raises(UserError, match=f"{VECTORS} has no snapshot 5"):
        world.lake.read(DAY, {VECTORS: 5}, silent)


def test_a_lake_without_the_tables_is_told(tmp_path: Path) -> None:
    catalog = lake(tmp_path)
    with connect("500MB", tmp_path) as con:
        read = Lake("", partial(ask, con, catalog)).read
        with pytest.raises(UserError, match=f"no table '{VECTORS}'; there are: none yet"):
            read(DAY, {}, silent)
    catalog.engine.dispose()


def test_a_table_that_lacks_a_feature_is_told(world: World) -> None:
    with world.catalog.load_table(("bronze", "fraud_features")).update_schema() as change:
        change.delete_column("terminal_labels_7d")
    with pytest.raises(UserError, match="terminal_labels_7d"):
        world.lake.read(DAY, {}, silent)


def _newest(world: World, name: str) -> int:
    found = world.catalog.load_table(("bronze", name)).current_snapshot()
    assert found is not None
    return found.snapshot_id


def test_no_part_learns_of_a_verdict_that_the_next_part_begins_before(world: World) -> None:
    """40 days, a payment an hour; every tenth verdict takes 20 days, the others two."""
    count, took = 40 * 24, [480 if at % 10 == 0 else 48 for at in range(40 * 24)]
    world.log(*(vector(f"t{at}", at, at) for at in range(count)))
    told = [(at, at + took[at]) for at in range(count)]
    world.judge(*(verdict(f"t{at}", when, is_fraud=at % 7 == 0) for at, when in told))
    week = 7 * 24
    found = Lake("", world.ask).read(Window(ms(NOON), ms(NOON + count * HOUR)), {}, silent)
    assert found.origin["delay_ms"] == week * ms(NOON + HOUR) - week * ms(NOON)
    paid = [(one - ms(NOON)) // 3_600_000 for one in found.frame.event_time.tolist()]
    assert paid == [at for at in range(count - week) if at % 10]
    fraud = Fraud(Settings(retrain_verdict_days=3), lambda: Lake("", world.ask))
    held_out = (fraud.held_out(found.frame).event_time[0] - ms(NOON)) // 3_600_000
    validated = [at for at in paid if at < held_out - week]
    assert max(validated) + took[max(validated)] < held_out
    slow = Fraud(Settings(retrain_verdict_days=8), lambda: Lake("", world.ask))
    assert slow.wanted().days == 17

"""The order of recommendations, learnt from the sessions of a lake and promoted through a gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import Table

from lakehouse.pinned import Pinned, ask
from lakehouse.query import connect
from orchestration.recommendations.refresh import Refresh
from orchestration.retraining.gated import StoppedError
from orchestration.retraining.handover import Run
from orchestration.retraining.record import Record
from orchestration.shelf.store import Store
from tests.unit.lakehouse.lakes import append, bronze, lake
from tests.unit.orchestration.retrainings import silent
from tests.unit.orchestration.visits import session, visits

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def told(name: str, start: float, end: float, items: str, **more: Any) -> dict[str, Any]:
    """Return a record of a session; its items are letters, times are in hours."""
    return session(name, NOON + start * HOUR, NOON + end * HOUR, list(items), **more)


@dataclass
class World:
    """A lake of one table, and a shelf."""

    folder: Path
    catalog: SqlCatalog
    sessions: Table

    def tell(self, *rows: dict[str, Any]) -> None:
        append(self.sessions, "sessions", rows)

    def ask(self, query: str, names: Sequence[str], pinned: Mapping[str, int]) -> Pinned:
        with connect("500MB", self.folder / "spill") as con:
            return ask(con, self.catalog, query, names, pinned)

    def steps(self, at: datetime, questions: int = 1, worse_by: float = 0.02) -> Refresh:
        run = Run.of(self.folder / "retraining", "recommender", at)
        shelf = self.folder / "recommender"
        return Refresh(run, shelf, str(self.folder), self.ask, questions, worse_by)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    catalog = lake(tmp_path / "lake")
    yield World(tmp_path, catalog, bronze(catalog, "sessions", "Session"))
    catalog.engine.dispose()


def test_sessions_are_taken_as_they_stood_at_the_end_of_the_window(world: World) -> None:
    world.tell(
        told("old", -30, -29, "xy"),
        told("b", 2, 2, "p"),
        told("a", 1, 1, "k"),
        told("b", 2, 4, "pqr"),
        told("b", 2, 3, "pq"),  # came late: fewer clicks
        told("late", 3, 3, "", late=True),
        told("merged", 3, 3, "z"),
        told("merged", 3, 4, "", clicks=4, merged_into="b"),
        told("a", 1, 25, "klm"),  # after the window's end
        told("after", 25, 25, "v"),
    )
    steps = world.steps(NOON + 24 * HOUR)
    first = steps.extract(1, silent)
    kept = [["k"], ["p", "q", "r"]]
    assert steps.run.rows()["items"].to_pylist() == kept
    assert first["sessions"] == 2
    world.tell(told("more", 5, 5, "w"))
    (steps.run.folder / "frame.parquet").unlink()
    assert steps.extract(1, silent) == first
    assert steps.run.rows()["items"].to_pylist() == kept


def test_too_few_questions_stop_it(world: World) -> None:
    world.tell(*(told(f"s{at}", at / 10, at / 10, "abc") for at in range(40)))
    steps = world.steps(NOON + 24 * HOUR, questions=9)
    steps.extract(1, silent)
    with pytest.raises(StoppedError, match="about 8 questions to hold out, at least 9"):
        steps.validate()
    with pytest.raises(StoppedError, match="the data did not pass"):
        steps.train(silent)


@pytest.mark.slow
# MLflow's own use of SQLAlchemy.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_order_is_promoted_through_the_gate_alone(world: World, tmp_path: Path) -> None:
    world.tell(*visits(3000, NOON, 20 * HOUR))
    record = Record(f"sqlite:///{tmp_path / 'mlflow.db'}", "recommender", tmp_path / "artefacts")
    store = Store(world.folder / "recommender")

    def gated(at: datetime, worse_by: float) -> dict[str, Any]:
        steps = world.steps(at, worse_by=worse_by)
        steps.extract(1, silent)
        steps.validate()
        steps.train(silent)
        steps.evaluate()
        steps.register(record)
        return steps.promote(record)

    first = gated(NOON + 24 * HOUR, 0.02)
    evaluated = world.steps(NOON + 24 * HOUR).run.need("evaluate")
    assert evaluated["champion"] is None
    beats = all(
        evaluated["metrics"][name] >= evaluated["without"][name]
        for name in ("hit_rate", "reciprocal_rank")
    )
    assert first["promoted"] is beats
    assert store.current() == (first["challenger"] if beats else None)
    # A day before: its sessions are others, and older than the champion's.
    store.promote(first["challenger"])
    before = gated(NOON + 19 * HOUR, 1.0)
    assert before["champion"] == first["challenger"] != before["challenger"]
    assert before["promoted"] is False
    assert any("data older" in reason for reason in before["reasons"])
    assert store.current() == first["challenger"]

"""The steps of a retraining, in order, again, and out of turn; MLflow on SQLite is the real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config.errors import UserError
from orchestration.retraining.gated import SECTION, StoppedError
from orchestration.retraining.handover import Run
from orchestration.retraining.record import CHALLENGER, CHAMPION, Record
from orchestration.retraining.steps import Steps
from orchestration.shelf.store import Store
from tests.unit.orchestration.retrainings import Toys, frame, silent
from tests.unit.orchestration.shelves import kind, publish

# MLflow's own use of SQLAlchemy.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
]
MONDAY = datetime(2025, 3, 3, 3, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for the module: making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@dataclass
class World:
    """A state folder with its MLflow; `record` is opened for the product `name`."""

    folder: Path
    record: Record
    client: Any
    name: str

    @property
    def store(self) -> Store:
        return Store(self.folder / "models" / self.name)

    def steps(self, toys: Toys, at: datetime = MONDAY) -> Steps:
        toys.name = self.name
        run = Run.of(self.folder / "retraining", self.name, at)
        return Steps(toys, run, self.store.folder)

    def retrain(self, toys: Toys, at: datetime = MONDAY) -> dict[str, Any]:
        """Do every step; return the gate's."""
        steps = self.steps(toys, at)
        steps.extract(30, silent)
        steps.validate()
        steps.train(silent)
        steps.evaluate()
        steps.register(self.record)
        return steps.promote(self.record)

    def alias(self, name: str) -> str | None:
        """The model that an alias of the registry names."""
        found = self.client.get_registered_model(self.name).aliases.get(name)
        if found is None:
            return None
        run = self.client.get_run(self.client.get_model_version(self.name, found).run_id)
        return str(run.data.tags["millrace.model_version"])

    def runs(self) -> list[Any]:
        experiment = self.client.get_experiment_by_name(self.name)
        return list(self.client.search_runs([experiment.experiment_id]))


@pytest.fixture
def world(
    tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[World]:
    from mlflow.tracking import MlflowClient

    name = request.node.name
    record = Record(uri, name, tmp_path / "artefacts")
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    with kind(monkeypatch):
        yield World(tmp_path, record, client, name)


class TestRuns:
    def test_a_date_is_the_same_run_in_every_zone(self, tmp_path: Path) -> None:
        there = MONDAY.astimezone(timezone(timedelta(hours=9)))
        assert Run.of(tmp_path, "toys", there) == Run.of(tmp_path, "toys", MONDAY)
        assert Run.of(tmp_path, "toys", MONDAY).folder.name == "20250303T030000Z"

    def test_a_date_without_a_zone_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="names no time zone: write 2025-03-03T03:00:00Z"):
            Run.of(tmp_path, "toys", MONDAY.replace(tzinfo=None))

    def test_a_frame_comes_back_as_it_was_and_earlier_ones_go(self, tmp_path: Path) -> None:
        before = Run.of(tmp_path, "toys", MONDAY)
        before.put_frame(frame())
        run = Run.of(tmp_path, "toys", MONDAY + DAY)
        run.put_frame(frame(days=9))
        assert run.frame().digest() == frame(days=9).digest()
        assert not before.has_rows()
        with pytest.raises(UserError, match="type `millrace retrain extract toys --at 2025-03-03"):
            before.frame()


class TestTheWholeWay:
    def test_a_first_model_is_promoted_and_recorded(self, world: World) -> None:
        gate = world.retrain(Toys())
        assert (gate["promoted"], gate["champion"], gate["reasons"]) == (True, None, [])
        assert world.store.current() == "v0.5"
        (run,) = world.runs()
        assert run.info.status == "FINISHED"
        assert run.data.tags["millrace.gate"] == "passed"
        assert run.data.metrics["test_quality"] == 0.5
        parameters = run.data.params
        assert parameters["snapshot.bronze.toys"] == "1"
        assert parameters["feature_set_version"] == "toys-1"
        assert parameters["window_until_ms"] == str(int(MONDAY.timestamp() * 1000))
        assert parameters["data_digest"] == frame().digest()
        card = world.store.card("v0.5")
        assert parameters["sha256.words.txt"] == card.files["words.txt"]
        assert card.details[SECTION] == {
            "mlflow_run": run.info.run_id,
            "logical_date": "2025-03-03T03:00:00+00:00",
            "begin": int((MONDAY - 30 * DAY).timestamp() * 1000),
            "until": int(MONDAY.timestamp() * 1000),
            "snapshots": {"bronze.toys": 1},
        }

    def test_what_mlflow_holds_are_the_shelfs_files(self, world: World) -> None:
        world.retrain(Toys())
        version = world.client.get_model_version_by_alias(world.name, CHAMPION)
        folder = Path(world.client.download_artifacts(version.run_id, "model"))
        names = {path.name for path in folder.iterdir()}
        assert names == {"model.json", "words.txt", "MLmodel", "requirements.txt"}
        for name in ("model.json", "words.txt"):
            published = world.store.folder / "v0.5" / name
            assert (folder / name).read_bytes() == published.read_bytes()
        assert (folder / "requirements.txt").read_text() == "numpy==2\n"

    def test_a_better_one_takes_the_place(self, world: World) -> None:
        world.retrain(Toys(0.5))
        gate = world.retrain(Toys(0.6), MONDAY + DAY)
        assert (gate["promoted"], gate["champion"]) == (True, "v0.5")
        assert (world.alias(CHAMPION), world.alias(CHALLENGER)) == ("v0.6", "v0.6")
        assert world.store.current() == "v0.6"

    def test_a_worse_one_is_recorded_and_the_champion_stays(self, world: World) -> None:
        world.retrain(Toys(0.5))
        gate = world.retrain(Toys(0.3), MONDAY + DAY)
        assert gate["promoted"] is False
        assert gate["reasons"] == ["quality 0.3000, champion 0.5000, at most 0.1000 worse"]
        assert world.store.current() == "v0.5"
        assert (world.alias(CHAMPION), world.alias(CHALLENGER)) == ("v0.5", "v0.3")
        newest = world.runs()[0]
        assert newest.data.tags["millrace.gate"] == "refused"
        assert newest.data.metrics["champion_quality"] == 0.5
        assert [one.state for one in world.store.listed()] == ["current", "published"]


class TestAgain:
    def test_the_same_date_is_the_same_run_and_model(self, world: World) -> None:
        toys = Toys()
        first = world.retrain(toys)
        assert world.retrain(toys) == first
        assert len(world.runs()) == 1
        assert len(world.client.search_model_versions(f"name = '{world.name}'")) == 1
        assert len(toys.read) == 1, "the frame was still there"
        history = world.store.history().events
        assert [one.what for one in history if one.what == "promoted"] == ["promoted"]

    def test_a_frame_that_is_gone_is_read_from_the_same_snapshots(self, world: World) -> None:
        toys = Toys()
        steps = world.steps(toys)
        first = steps.extract(30, silent)
        (steps.run.folder / "frame.parquet").unlink()
        toys.snapshot = 2  # the lake has grown since
        assert steps.extract(30, silent) == first
        assert toys.read == [{}, {"bronze.toys": 1}]

    def test_another_window_is_read_anew(self, world: World) -> None:
        toys = Toys()
        steps = world.steps(toys)
        steps.extract(30, silent)
        toys.snapshot = 2
        assert steps.extract(31, silent)["origin"]["snapshots"] == {"bronze.toys": 2}

    def test_another_date_with_the_same_data_is_another_run_of_the_same_model(
        self, world: World
    ) -> None:
        world.retrain(Toys())
        gate = world.retrain(Toys(), MONDAY + DAY)
        assert gate["promoted"] is True
        assert len(world.runs()) == 2
        assert world.store.versions() == ["v0.5"]
        assert world.store.history().line() == ("v0.5",)

    def test_an_old_date_does_not_put_its_model_back(self, world: World) -> None:
        world.retrain(Toys(0.5))
        world.retrain(Toys(0.6), MONDAY + DAY)
        gate = world.retrain(Toys(0.9), MONDAY - DAY)
        assert gate["reasons"] == ["data older than that of v0.6"]
        assert world.store.current() == "v0.6"

    def test_what_a_person_rolled_back_stays_so(self, world: World) -> None:
        world.retrain(Toys(0.5))
        world.retrain(Toys(0.6), MONDAY + DAY)
        world.store.rollback()
        world.record.follow(world.store.current())
        assert world.alias(CHAMPION) == "v0.5"
        steps = world.steps(Toys(0.6), MONDAY + DAY)
        steps.evaluate()
        assert steps.promote(world.record)["reasons"] == ["v0.6 was withdrawn by a person"]
        assert world.store.current() == "v0.5"

    def test_killed_between_the_shelf_and_mlflow(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Record, "follow", killed)
            with pytest.raises(KeyboardInterrupt):
                world.retrain(Toys())
        assert world.store.current() == "v0.5"
        assert world.steps(Toys()).promote(world.record)["promoted"] is True
        assert world.alias(CHAMPION) == "v0.5"
        assert len(world.store.history().events) == 2, "published and promoted, once each"


class TestStops:
    def test_a_failed_check_stops_it(self, world: World) -> None:
        toys = Toys(least=500)
        steps = world.steps(toys)
        steps.extract(30, silent)
        with pytest.raises(StoppedError, match="rows: 200 rows, at least 500"):
            steps.validate()
        kept = json.loads((steps.run.folder / "validate.json").read_text())
        assert [one["name"] for one in kept["checks"] if not one["ok"]] == ["rows"]
        with pytest.raises(StoppedError, match="the data did not pass"):
            steps.train(silent)
        assert toys.learnt == 0

    def test_a_step_out_of_turn_names_the_command(self, world: World) -> None:
        steps = world.steps(Toys())
        for step in (steps.validate, steps.evaluate, lambda: steps.promote(world.record)):
            with pytest.raises(UserError, match=r"nothing to go on with: type `millrace retrain "):
                step()

    def test_what_passed_for_other_rows_does_not_count(self, world: World) -> None:
        toys = Toys()
        steps = world.steps(toys)
        steps.extract(30, silent)
        steps.validate()
        toys.rows = frame(days=21)
        steps.extract(31, silent)
        with pytest.raises(UserError, match=r"the rows are others since: .* validate"):
            steps.train(silent)
        steps.validate()
        steps.train(silent)
        toys.rows = frame(days=22)
        steps.extract(32, silent)
        with pytest.raises(UserError, match=r"the rows are others since: .* train"):
            steps.evaluate()

    def test_killed_while_reading_other_rows_it_has_none(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        toys = Toys()
        steps = world.steps(toys)
        steps.extract(30, silent)
        toys.rows = frame(days=21)
        with monkeypatch.context() as patched:
            patched.setattr(Run, "put", killed)
            with pytest.raises(KeyboardInterrupt):
                steps.extract(31, silent)
        toys.rows = frame()
        with pytest.raises(UserError, match=r"nothing to go on with: .* extract"):
            steps.validate()
        assert steps.extract(30, silent)["digest"] == steps.run.frame().digest()

    def test_only_what_was_judged_is_promoted(self, world: World) -> None:
        steps = world.steps(Toys(0.5))
        steps.extract(30, silent)
        steps.validate()
        steps.train(silent)
        steps.evaluate()
        steps.register(world.record)
        again = world.steps(Toys(0.6))
        again.train(silent)
        again.evaluate()
        with pytest.raises(UserError, match=r"v0\.6 was judged, v0\.5 registered: .* register"):
            again.promote(world.record)
        assert world.store.current() is None

    def test_another_champion_since_asks_for_another_evaluation(self, world: World) -> None:
        steps = world.steps(Toys())
        steps.extract(30, silent)
        steps.validate()
        steps.train(silent)
        steps.evaluate()
        steps.register(world.record)
        publish(world.store, "by-hand", "0.7")
        world.store.promote("by-hand")
        with pytest.raises(UserError, match="by-hand became current since"):
            steps.promote(world.record)
        steps.evaluate()
        assert steps.promote(world.record)["promoted"] is False
        assert world.alias(CHAMPION) is None, "MLflow never saw the model made by hand"


class TestTheChampion:
    def test_is_measured_by_its_own_features_in_its_own_order(self, world: World) -> None:
        publish(world.store, "old", "0.5", features=("b",))
        world.store.promote("old")
        seen: list[tuple[tuple[str, ...], float]] = []

        class Watching(Toys):
            def metrics(self, card: Any, predictor: Any, rows: Any) -> dict[str, float]:
                seen.append((rows.features, float(rows.x[0, 0])))
                return super().metrics(card, predictor, rows)

        world.retrain(Watching())
        assert seen == [(("a", "b"), 300.0), (("b",), 301.0)]

    def test_that_is_surely_better_stays_and_by_how_much_is_recorded(self, world: World) -> None:
        publish(world.store, "old", "0.55")
        world.store.promote("old")
        gate = world.retrain(Toys(0.5, within=0.01))
        assert gate["promoted"] is False, "0.1 worse would be allowed, were it not sure"
        assert gate["reasons"] == [
            "surely worse: quality against champion -0.0500, -0.0600 to -0.0400 in 95% of 100 "
            "draws of 7 toys"
        ]
        (run,) = world.runs()
        assert run.data.metrics["difference_quality_high"] == pytest.approx(-0.04)
        assert world.retrain(Toys(0.5, within=0.06), MONDAY + DAY)["promoted"] is True

    def test_that_reads_what_is_no_longer_computed_is_not_compared(self, world: World) -> None:
        publish(world.store, "old", "0.9", features=("a", "z"))
        world.store.promote("old")
        gate = world.retrain(Toys(0.2))
        assert gate["promoted"] is True
        detail = {one["name"]: one["detail"] for one in gate["conditions"]}
        assert detail["comparison"] == "old cannot be measured here any more"


class TestChecks:
    @pytest.mark.parametrize("broken", ["infinite", "dark", "unordered", "mostly fraud"])
    def test_what_is_wrong_is_named(self, world: World, broken: str) -> None:
        rows = frame()
        x, y, times = rows.x.copy(), rows.y.copy(), rows.event_time.copy()
        if broken == "infinite":
            x[5, 1] = np.inf
        elif broken == "dark":
            x[150:, 1] = np.nan
        elif broken == "unordered":
            times[3], times[4] = times[4], times[3]
        else:
            y[:] = np.arange(len(y)) % 5 != 0
        toys = Toys(rows=replace(rows, x=x, y=y, event_time=times))
        steps = world.steps(toys)
        steps.extract(30, silent)
        said = {
            "infinite": "finite: features with infinite values: b",
            "dark": "known: features that became unknown lately: b",
            "unordered": "order: rows are unordered",
            "mostly fraud": r"share: 0\.8000 of the rows are fraud, at most 0\.5",
        }[broken]
        with pytest.raises(StoppedError, match=f"do not pass: {said}$"):
            steps.validate()

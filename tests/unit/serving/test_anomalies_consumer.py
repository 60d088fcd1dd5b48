"""Windows of the stream through the product and the history, and what a restart makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from config.errors import RetryableError
from domain.anomalies import adaptive
from domain.anomalies.features import NAMES, extract
from domain.anomalies.policy import FEATURE_SET, PRODUCT
from domain.events import AnomalyDetected, ExtractedFeatures
from domain.sensors.limits import parse
from ingestion.wire.unreadable import UnreadableError
from orchestration.anomalies.learned.rows import Windows
from orchestration.anomalies.learned.train import Learnt, train
from orchestration.shelf.shelf import Shelf
from orchestration.shelf.store import Store
from serving.anomalies.consumer import DETECTED, Anomalies, detection_id
from serving.anomalies.history import Filters, History
from serving.anomalies.kept import HistoryStore
from serving.anomalies.model import TRAIN, accept
from serving.consumers.product import Incoming

MINUTES = 300_000
LIMITS = parse({"types": {}, "assets": {"turbine": "high", "lobby": "low"}})


def readings(chance: np.random.Generator, mean: float = 20.0) -> dict[str, float]:
    """Return the features of a window of 60 readings."""
    times = np.sort(chance.choice(MINUTES, 60, replace=False))
    return dict(extract(times.tolist(), chance.normal(mean, 1, 60).tolist()))


@pytest.fixture(scope="session")
def usual() -> Learnt:
    chance = np.random.default_rng(5)
    rows = np.array([[readings(chance)[name] for name in NAMES] for _ in range(300)])
    return train(Windows(NAMES, rows), "iforest")


@pytest.fixture
def shelf(tmp_path: Path, usual: Learnt) -> Store:
    store = Store(tmp_path / "models" / PRODUCT)
    store.promote(usual.publish(store.folder).version)
    return store


@pytest.fixture
def history() -> Iterator[History]:
    found = History("sqlite://", clock=lambda: 50.0)
    yield found
    found.close()


def windows(many: int, **fields: Any) -> list[dict[str, Any]]:
    """Return the windows of a sensor whose readings leave its habit now and then."""
    chance = np.random.default_rng(9)
    return [
        vars_of(
            ExtractedFeatures(
                sensor_id="s",
                window_start=number * MINUTES,
                window_end=(number + 1) * MINUTES,
                features=readings(chance, 40.0 if number % 10 == 7 else 20.0),
            ),
            **fields,
        )
        for number in range(many)
    ]


def vars_of(record: ExtractedFeatures, **fields: Any) -> dict[str, Any]:
    made = replace(record, **fields)
    return {name: getattr(made, name) for name in made.__dataclass_fields__}


class Life:
    """A process: the product, told what the log says of before, and what it produces."""

    def __init__(
        self, shelf: Store, history: History, log: Sequence[dict[str, Any]] = (), now: float = 7.0
    ) -> None:
        models = Shelf(shelf.folder, accept, TRAIN)
        models.refresh()
        self.models = models
        self.product = Anomalies(models, lambda: LIMITS, lambda: now)
        self.store = HistoryStore(history)
        self.product.clear_state()
        for record in log:
            self.product.restore_state(Incoming(record, 0, 0))

    def results(self, records: Sequence[dict[str, Any]], first: int = 0) -> list[Any]:
        batch = [
            Incoming(record, 1000, first + place, "extracted-features")
            for place, record in enumerate(records)
        ]
        return self.product.handle(batch)

    def read(self, records: Sequence[dict[str, Any]], first: int = 0) -> list[dict[str, Any]]:
        """Do with a batch what the frame does; return what is produced."""
        told = []
        for result in self.results(records, first):
            (write,), (output,) = result.writes, result.outputs
            (winner,) = self.store.apply([write])
            restored = None if winner is None else self.product.restore(winner.data)
            assert (output.topic, output.key) == (DETECTED, "s")
            told.append(restored or dict(output.record))
        return told

    def metric(self, name: str, **labels: str) -> float:
        registry = CollectorRegistry()
        self.product.register(registry)
        return registry.get_sample_value(name, labels) or 0.0


def test_strange_windows_are_told_with_what_is_strange_about_them(
    shelf: Store, history: History, usual: Learnt
) -> None:
    life, asked = Life(shelf, history), windows(30)
    told = life.read(asked)
    assert [one["window_start"] for one in told if one["is_anomaly"]] == [
        number * MINUTES for number in (7, 17, 27)
    ]
    rows = np.array([[one["features"][name] for name in NAMES] for one in asked])
    margins = [one["margin"] for one in told]
    assert margins == pytest.approx(usual.margins(rows).tolist(), abs=1e-3)
    for one in told:
        AnomalyDetected(**one)
        assert (one["margin"] >= adaptive.margin(one["threshold"])) == one["is_anomaly"]
        assert bool(one["reasons"]) == bool(one["contributions"]) == one["is_anomaly"]
    strange = told[7]
    assert strange["reasons"][0] in {"mean", "min", "max"}
    amounts = [strange["contributions"][name] for name in strange["reasons"]]
    assert amounts == sorted(amounts, reverse=True)
    assert life.metric(
        "millrace_anomalies_windows_total", criticality="normal", outcome="anomaly"
    ) == sum(one["is_anomaly"] for one in told)


def test_what_is_told_is_found_in_the_history(shelf: Store, history: History) -> None:
    told = Life(shelf, history).read(windows(20, asset_id="turbine"))
    found = history.find(Filters(asset_id="turbine", is_anomaly=True), 10)
    times = [one["timestamp"] for one in found]
    assert times == [one["window_start"] for one in reversed(told) if one["is_anomaly"]]
    assert {17 * MINUTES, 7 * MINUTES} <= set(times)
    for one in found:
        assert "record" not in one
        (same,) = [other for other in told if other["detection_id"] == one["detection_id"]]
        assert {name: one[name] for name in ("score", "threshold", "criticality")} == {
            "score": same["score"],
            "threshold": same["threshold"],
            "criticality": "high",
        }
        assert [part["feature"] for part in one["explanation"]][:1] == same["reasons"][:1]


def test_the_more_critical_the_asset_the_lower_the_threshold(
    shelf: Store, history: History
) -> None:
    life = Life(shelf, history)
    first = windows(1)[0]
    thresholds = [
        life.read([{**first, "asset_id": asset, "sensor_id": "s"}])[0]["threshold"]
        for asset in ("lobby",)
    ] + [
        Life(shelf, history)
        .results([{**first, "asset_id": asset}])[0]
        .outputs[0]
        .record["threshold"]
        for asset in (None, "turbine")
    ]
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) == 3


@pytest.mark.parametrize("cut", [1, 7, 8, 20, 39])
def test_a_restart_reverts_nothing(shelf: Store, cut: int, history: History) -> None:
    """The first life ends after `cut` windows; its offsets were not committed."""
    asked = windows(40)
    undisturbed = Life(shelf, History("sqlite://", clock=lambda: 50.0)).read(asked)
    before = Life(shelf, history).read(asked[:cut])
    after = Life(shelf, history, log=before, now=99.0).read(asked)
    assert after == [
        {**one, "detected_at": 7000 if place < cut else 99_000}
        for place, one in enumerate(undisturbed)
    ]
    assert history.count(Filters()) == 40


def test_what_was_stored_but_not_produced_is_told_as_it_was_stored(
    shelf: Store, history: History
) -> None:
    asked = windows(12)
    stored = Life(shelf, history).read(asked)  # of which nothing reached the log
    assert Life(shelf, history, now=99.0).read(asked) == stored


def test_a_batch_that_is_handed_on_again_changes_nothing(shelf: Store, history: History) -> None:
    life, asked = Life(shelf, history), windows(20)
    first = [one.outputs[0].record for one in life.results(asked[:12])]
    again = [one.outputs[0].record for one in life.results(asked[:12])]
    one_by_one = [life.results([one], place)[0].outputs[0] for place, one in enumerate(asked[:12])]
    assert first == again == [one.record for one in one_by_one]
    other = Life(shelf, history)
    other.results(asked[:12])
    assert life.read(asked[12:], 12) == other.read(asked[12:], 12)


def test_windows_that_come_out_of_order_change_no_threshold(shelf: Store, history: History) -> None:
    life, asked = Life(shelf, history), windows(12)
    newest = life.read(asked[2:])[-1]
    early = life.read(asked[:2], first=50)
    assert [one["next_margin"] for one in early] == [newest["next_margin"]] * 2
    assert (
        life.metric("millrace_anomalies_windows_total", criticality="normal", outcome="again") == 2
    )


def test_a_new_model_begins_with_its_own_thresholds(shelf: Store, history: History) -> None:
    before = Life(shelf, history).read(windows(12))
    chance = np.random.default_rng(6)
    rows = np.array([[readings(chance)[name] for name in NAMES] for _ in range(200)])
    learnt = train(Windows(NAMES, rows), "ocsvm")
    shelf.promote(learnt.publish(shelf.folder).version)
    later = windows(13)[12:]
    (told,) = Life(shelf, history, log=before).read(later)
    assert told["model_version"] != before[-1]["model_version"]
    assert told["threshold"] == pytest.approx(learnt.thresholds.normal)


def test_a_window_with_an_id_that_the_history_cannot_hold_is_put_aside(
    shelf: Store, history: History
) -> None:
    for fields in ({"sensor_id": "s" * 201}, {"asset_id": "a\0"}):
        with pytest.raises(UnreadableError, match="200 characters"):
            Life(shelf, history).results(windows(1, **fields))


def test_features_that_a_window_does_not_have_are_usual(shelf: Store, history: History) -> None:
    (asked,) = windows(1)
    del asked["features"]["slope"]
    (told,) = Life(shelf, history).read([asked])
    assert "slope" not in told["features"]
    assert not told["is_anomaly"]


def test_it_waits_for_a_model_and_for_one_of_the_streams_features(
    tmp_path: Path, history: History
) -> None:
    store = Store(tmp_path / "models" / PRODUCT)
    life = Life(store, history)
    assert life.product.waiting() == f"no model: type `{TRAIN}`"
    assert life.product.probe() is False
    rows = np.random.default_rng(1).normal(0, 1, (200, 2))
    store.promote(train(Windows(("mean", "p99"), rows), "ocsvm").publish(store.folder).version)
    life.models.refresh()
    assert life.models.model(FEATURE_SET) is not None
    assert "asks for p99, which windows of the stream have not" in str(life.product.waiting())
    with pytest.raises(RetryableError, match="p99"):
        life.results(windows(1))


def test_the_probe_leaves_no_trace(shelf: Store, history: History) -> None:
    life = Life(shelf, history)
    assert life.product.probe() is True
    assert life.metric("millrace_anomalies_sensors") == 0


def test_ids_follow_from_sensor_and_window() -> None:
    found = {detection_id("a", 1), detection_id("a", 2), detection_id("1/a", 1)}
    assert len(found) == 3
    assert {len(one) for one in found} == {32}

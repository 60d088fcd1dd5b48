from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from domain.fraud.features import FRAUD
from serving.shelf import Shelf, UnusableModelError, load
from tests.unit.serving.conftest import FEATURES, WriteModel

KNOWN = frozenset(FRAUD.model)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path, KNOWN, "millrace train fraud")


def test_a_model_scores_and_explains(write_model: WriteModel) -> None:
    model = load(write_model())
    rows = np.array([[95.0, 1.0, 0.9], [5.0, 1.0, 0.1], [np.nan, np.nan, np.nan]])
    scores = model.predict(rows)
    assert scores[0] > 0.8 > 0.2 > scores[1]
    large, small = model.contributions(rows[:2])
    assert large["amount"] == max(large.values()) > 0 > small["amount"]
    assert tuple(large) == FEATURES


def test_without_a_model_says_what_to_do(shelf: Shelf) -> None:
    shelf.refresh()
    assert shelf.empty
    assert "millrace train fraud" in shelf.trouble


def test_takes_up_a_new_current_model(shelf: Shelf, write_model: WriteModel) -> None:
    write_model("m1")
    shelf.refresh()
    write_model("m2")
    shelf.refresh()
    model = shelf.model(FRAUD.version)
    assert model is not None
    assert model.version == "m2"
    assert shelf.trouble == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"features": ["amount"]}, "different features"),
        ({"thresholds": {"review": 0.9, "block": 0.1}}, "above block"),
        ({"thresholds": {"review": 0.9}}, "block"),
    ],
)
def test_refuses_what_contradicts_itself(
    write_model: WriteModel, changes: dict[str, object], why: str
) -> None:
    with pytest.raises(UnusableModelError, match=why):
        load(write_model(**changes))


def test_a_refused_model_leaves_the_old_one(shelf: Shelf, write_model: WriteModel) -> None:
    write_model("m1")
    shelf.refresh()
    (write_model("m2") / "model.txt").unlink()
    shelf.refresh()
    assert "m2" in shelf.trouble
    model = shelf.model(FRAUD.version)
    assert model is not None
    assert model.version == "m1"


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.05])
def test_half_a_model_is_refused_before_it_can_end_the_process(
    write_model: WriteModel, kept: float
) -> None:
    text = (folder := write_model("m1")) / "model.txt"
    text.write_bytes(text.read_bytes()[: int(text.stat().st_size * kept)])
    with pytest.raises(UnusableModelError, match="not what was trained"):
        load(folder)


def test_refuses_features_that_nobody_computes(tmp_path: Path, write_model: WriteModel) -> None:
    write_model("m1")
    shelf = Shelf(tmp_path, frozenset({"amount"}), "train")
    shelf.refresh()
    assert shelf.empty
    assert "customer_count_1h, terminal_risk_7d" in shelf.trouble


def test_older_rows_keep_a_model_of_their_version(shelf: Shelf, write_model: WriteModel) -> None:
    write_model("old", feature_set="fraud-0", current=False)
    write_model("new")
    shelf.refresh()
    assert shelf.model("fraud-0") is None
    found = shelf.search("fraud-0")
    assert found is not None
    assert shelf.model("fraud-0") is found
    current = shelf.model(FRAUD.version)
    assert current is not None
    assert current.version == "new"
    assert shelf.search("fraud-99") is None


def test_watching_takes_up_what_comes_later(shelf: Shelf, write_model: WriteModel) -> None:
    stop = threading.Event()
    thread = shelf.watch(0.005, stop)
    write_model("m1")
    for _ in range(2000):
        if not shelf.empty:
            break
        stop.wait(0.005)
    stop.set()
    thread.join()
    assert not shelf.empty

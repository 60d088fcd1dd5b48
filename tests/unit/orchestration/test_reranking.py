"""Trees as arrays give what LightGBM gives, and order candidates."""

from __future__ import annotations

import random

import lightgbm
import numpy as np
import pytest

from config.errors import UserError
from orchestration.recommendations import ranking
from orchestration.recommendations.engine.index import Bounds
from orchestration.recommendations.engine.item import Wish
from orchestration.recommendations.engine.recommender import Recommender
from orchestration.recommendations.engine.reranking import FEATURES
from orchestration.recommendations.engine.trees import Trees, predict, trees_of
from orchestration.recommendations.engine.weights import TUNED
from orchestration.recommendations.ranking import fit

BOUNDS = Bounds(sessions=200, length=50, items=200, postings=20_000, clicks=1000)


def test_arrays_predict_what_lightgbm_predicts() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(3000, 5)).round(2)
    labels = (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0.3).astype(float)
    given = {"objective": "regression", "num_leaves": 9, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(given, lightgbm.Dataset(rows, labels), 20)
    trees = trees_of(booster.dump_model())
    assert len(trees.roots) == 20
    np.testing.assert_allclose(predict(trees, rows), booster.predict(rows), rtol=1e-12)


def test_a_split_that_is_no_threshold_is_refused() -> None:
    split = {"split_feature": 0, "decision_type": "==", "threshold": "1||2"}
    with pytest.raises(ValueError, match="a split by =="):
        trees_of({"tree_info": [{"tree_structure": split}]})


def taught(trees: Trees | None = None) -> Recommender:
    made = Recommender(BOUNDS, TUNED, trees)
    for number, items in enumerate(("tm", "tm", "ts", "atb", "tb")):
        made.observe(f"s{number}", number, list(items))
    return made


def test_what_the_trees_see_of_a_candidate() -> None:
    names, rows = taught().candidates(["a", "t", "a", "t"])
    found = dict(zip(names, rows, strict=True))
    of_b = dict(zip(FEATURES, found["b"], strict=True))
    assert of_b["sessions_of_item"] == 2
    assert (of_b["together"], of_b["right_after"], of_b["right_before"]) == (2, 2, 0)
    assert (of_b["session_length"], of_b["session_items"]) == (4, 2)
    assert of_b["sessions_of_newest"] == 5
    assert (of_b["steps_back"], of_b["clicks_in_session"]) == (99, 0)
    of_a = dict(zip(FEATURES, found["a"], strict=True))
    assert (of_a["steps_back"], of_a["clicks_in_session"]) == (1, 2)
    assert (of_a["together"], of_a["right_before"]) == (1, 1)
    assert [row[1] for row in rows] == list(range(len(names)))
    assert rows[0][0] == 1
    assert 0 < of_b["near_score"] <= 1
    assert 0 < of_b["far_score"] <= 1


def test_the_list_follows_the_trees_and_keeps_its_reasons() -> None:
    plain = taught()
    # One tree: the rarer of two items comes first, those of the session last.
    trees = Trees(
        roots=np.array([0], np.int32),
        feature=np.array(
            [FEATURES.index("steps_back"), -1, FEATURES.index("together"), -1, -1], np.int32
        ),
        threshold=np.array([50.0, 0, 1.5, 0, 0]),
        left=np.array([1, -1, 3, -1, -1], np.int32),
        right=np.array([2, -1, 4, -1, -1], np.int32),
        value=np.array([0.0, -5.0, 0.0, 3.0, 1.0]),
    )
    before = {one.item: (one.why, one.of) for one in plain.recommend(["t"])}
    found = taught(trees).recommend(["t"])
    neighbours = [one for one in found if one.why != "popular"]
    assert {one.item for one in neighbours[:2]} == {"s", "a"}
    assert {one.item for one in neighbours[2:4]} == {"m", "b"}
    assert neighbours[4].item == "t"
    assert {one.item: (one.why, one.of) for one in found} == before
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    no_repeats = taught(trees).recommend(["t"], wish=Wish(repeats=False))
    assert "t" not in {one.item for one in no_repeats}


@pytest.mark.slow
def test_an_order_is_learnt_from_the_last_sessions() -> None:
    draw = random.Random(3)
    sessions = []
    for _ in range(3000):
        place = draw.randrange(40)
        sessions.append([str((place + step) % 40) for step in range(draw.randint(2, 5))])
    trees = fit(sessions, rounds=5)
    assert len(trees.roots) == 5
    made = Recommender(None, TUNED, trees)
    for number, session in enumerate(sessions):
        made.observe(f"s{number}", number, session)
    assert made.recommend(["6", "7"])[0].item == "8"


def test_too_little_to_learn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "Recommender", lambda: Recommender(BOUNDS, TUNED))
    with pytest.raises(UserError, match="too few questions to learn an order from: 1 of 200"):
        fit([["1", "2"]] * 5)

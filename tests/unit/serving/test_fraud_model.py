from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orchestration.shelf.card import UnusableModelError
from orchestration.shelf.kinds import Index
from orchestration.shelf.store import Store
from serving.fraud.model import Model, accept, accepting
from tests.unit.serving.conftest import FEATURES, WriteModel


def load(folder: Path) -> Model:
    return accept(*Store(folder.parent).load(folder.name))


def test_a_model_scores_and_explains(write_model: WriteModel) -> None:
    model = load(write_model())
    rows = np.array([[95.0, 1.0, 0.9], [5.0, 1.0, 0.1], [np.nan, np.nan, np.nan]])
    scores = model.predictor.predict(rows)
    assert scores[0] > 0.8 > 0.2 > scores[1]
    large, small = model.predictor.contributions(rows[:2])
    assert large["amount"] == max(large.values()) > 0 > small["amount"]
    assert tuple(large) == model.features == FEATURES
    assert (model.thresholds.review, model.thresholds.block) == (0.3, 0.8)


def test_a_card_and_trees_that_name_different_features(write_model: WriteModel) -> None:
    with pytest.raises(UnusableModelError, match="different features"):
        load(write_model(features=("amount",), current=False))


@pytest.mark.parametrize(
    ("thresholds", "error"),
    [
        ({"review": 0.9, "block": 0.1}, ValueError),
        ({"review": 0.9}, TypeError),
        (None, TypeError),
    ],
)
def test_thresholds_that_cannot_be(
    write_model: WriteModel, thresholds: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        load(write_model(thresholds=thresholds))


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.05])
def test_half_a_model_is_refused_before_it_can_end_the_process(
    write_model: WriteModel, kept: float
) -> None:
    text = (folder := write_model()) / "model.txt"
    text.write_bytes(text.read_bytes()[: int(text.stat().st_size * kept)])
    with pytest.raises(UnusableModelError, match="not what was published"):
        load(folder)


def test_features_that_nobody_computes(write_model: WriteModel) -> None:
    card, predictor = Store((folder := write_model()).parent).load(folder.name)
    with pytest.raises(UnusableModelError, match="computed: customer_count_1h, terminal_risk_7d"):
        accepting(frozenset({"amount"}))(card, predictor)


def test_a_model_that_gives_no_reasons(write_model: WriteModel) -> None:
    card, _ = Store((folder := write_model()).parent).load(folder.name)
    with pytest.raises(UnusableModelError, match="gives no reasons"):
        accept(card, Index().load(card, {}))

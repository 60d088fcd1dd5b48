"""Trees that order candidates: learnt, published, promoted, taken up, withdrawn."""

from __future__ import annotations

import json
import random
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from typer.testing import CliRunner

from config.settings import Settings
from millrace.cli import train
from orchestration.recommendations import ranking
from orchestration.recommendations.engine.item import Wish
from orchestration.recommendations.engine.reranking import FEATURE_SET, FEATURES
from orchestration.recommendations.engine.trees import Trees
from orchestration.recommendations.ranking import Learnt, learn
from orchestration.shelf.shelf import Shelf
from orchestration.shelf.store import Store
from serving.consumers.product import Incoming
from serving.recommendations.order import TRAIN, accept
from tests.unit.serving.test_recommendations import Shop, session

PLACES = 40


def walks(count: int, seed: int) -> list[list[str]]:
    """Sessions around a circle of items, one step at a time."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        place = draw.randrange(PLACES)
        found.append([str((place + step) % PLACES) for step in range(draw.randint(2, 5))])
    return found


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    return learn(walks(3000, 3), rounds=5)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf[Trees]:
    return Shelf(tmp_path / "recommender", accept, TRAIN)


def of(user: str, items: list[str]) -> Incoming:
    row = session(user, "x" * len(items))
    return row._replace(record={**row.record, "items": items})


def clicks(shop: Shop) -> None:
    """Visitors around the circle, and one who stands at its item 6."""
    shop.take(*(of(f"u{number}", items) for number, items in enumerate(walks(60, 5))))
    shop.take(of("last", ["5", "6"]))
    shop.quiet()


@pytest.mark.slow
def test_lists_follow_the_shelf(learnt: Learnt, shelf: Shelf[Trees], tmp_path: Path) -> None:
    shop = Shop(shelf=shelf)
    clicks(shop)
    plain = shop.list("last")
    card = learnt.publish(tmp_path / "recommender", {"source": "walks"})
    shelf.refresh()
    shop.quiet()
    assert shop.list("last") == plain, "nothing is ordered by what is only published"

    Store(tmp_path / "recommender").promote(card.version)
    shelf.refresh()
    shop.quiet()
    # LightGBM's own prediction of the engine's own rows, best first.
    names, rows = shop.product.engine.candidates(["5", "6"])
    values = np.asarray(learnt.booster.predict(rows))
    wanted = [name for _, name in sorted(zip(-values, names, strict=True), key=lambda one: one[0])]
    asked = shop.product.recommend(["5", "6"], None, Wish(10), None)
    assert [one.item for one in asked][: len(wanted)] == wanted[:10]
    # The visitor's own session is no neighbour of its own, so that the list is another.
    own = shop.product.engine.recommend(["5", "6"], ["view"] * 2, Wish(10), "last-1")
    assert shop.list("last") == [one.item for one in own] != plain

    # One that was there already when the process started is there before the first list.
    later = Shop(shelf=shelf)
    assert later.product.engine.trees is shelf.model(FEATURE_SET)
    later.product.clear_state()
    assert later.product.engine.trees is not None

    registry = CollectorRegistry()
    shop.product.register(registry)
    assert f'model="{card.version}"' in generate_latest(registry).decode()


@pytest.mark.slow
def test_what_was_learnt_from_other_features_is_refused_and_told(
    learnt: Learnt, shelf: Shelf[Trees], tmp_path: Path
) -> None:
    shop = Shop(shelf=shelf)
    assert shop.product.notice() is None, "to work without any is no trouble"
    store = Store(tmp_path / "recommender")
    card = learnt.publish(store.folder, {})
    text = store.files(card)["model.txt"]
    store.publish(
        "old",
        "lightgbm",
        {"model.txt": text},
        feature_set_version="o",
        features=FEATURES,
        details={},
    )
    store.promote("old")
    shelf.refresh()
    assert "old was learnt from o; candidates are described by order-" in str(shop.product.notice())
    clicks(shop)
    assert shop.product.engine.trees is None
    store.promote(card.version)
    shelf.refresh()
    shop.quiet()
    assert shop.product.notice() is None
    assert shop.product.engine.trees is not None


@pytest.mark.slow
class TestCommand:
    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(train, "settings", lambda: Settings(state_dir=tmp_path))
        monkeypatch.setattr(ranking, "ROUNDS", 3)

    def test_a_file_becomes_the_current_model(self, tmp_path: Path) -> None:
        data = tmp_path / "sessions.txt"
        data.write_text("".join(" ".join(one) + "\n" for one in walks(2500, 1)))
        done = CliRunner().invoke(
            train.app, ["recommendations", "--data", str(data), "--promote", "--json"]
        )
        assert done.exit_code == 0, done.output
        told = json.loads(done.stdout.splitlines()[-1])
        store = Store(tmp_path / "models" / "recommender")
        assert told["promoted"]
        assert store.current() == told["version"]
        assert told["details"]["sessions"] == 2500
        assert told["details"]["data"] == {"source": "sessions.txt"}
        booster = lightgbm.Booster(model_str=(Path(told["folder"]) / "model.txt").read_text())
        assert tuple(booster.feature_name()) == FEATURES

    def test_too_little_is_refused(self, tmp_path: Path) -> None:
        data = tmp_path / "sessions.txt"
        data.write_text("1 2\n" * 20)
        done = CliRunner().invoke(train.app, ["recommendations", "--data", str(data)])
        assert "too few questions to learn an order from" in str(done.exception)

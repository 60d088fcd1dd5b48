"""What a running process takes from a shelf, while others write."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration.shelf.card import Card
from orchestration.shelf.shelf import Shelf
from orchestration.shelf.store import Store
from tests.unit.orchestration.shelves import PRODUCT, kind, publish

TRAIN = "millrace train toys --promote"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with kind(monkeypatch):
        yield Store(tmp_path / PRODUCT)


def accept(card: Card, predictor: Any) -> str:
    if "refuse" in card.details:
        raise KeyError(card.details["refuse"])
    return str(predictor)


@pytest.fixture
def shelf(store: Store) -> Shelf[str]:
    return Shelf(store.folder, accept, TRAIN)


def promote(store: Store, version: str, rows: str = "toys-1", **changes: Any) -> None:
    publish(store, version, feature_set_version=rows, **changes)
    store.promote(version)


def test_without_a_model_says_what_to_type(shelf: Shelf[str]) -> None:
    shelf.refresh()
    assert shelf.empty
    assert shelf.trouble == "no model: type `millrace train toys --promote`"


def test_a_model_that_was_never_promoted_never_scores(store: Store, shelf: Shelf[str]) -> None:
    publish(store, "v1")
    shelf.refresh()
    assert (shelf.empty, shelf.model("toys-1"), shelf.search("toys-1")) == (True, None, None)
    assert shelf.trouble == "no model is promoted: type `millrace model promote toys latest`"

    promote(store, "v2", rows="toys-2")
    shelf.refresh()
    assert shelf.model("toys-2") == "v2 says hello"
    assert (shelf.model("toys-1"), shelf.search("toys-1")) == (None, None)

    (store.folder / "current").write_text("v1\n")  # by hand, past the history
    shelf.refresh()
    assert "v1 was never promoted" in shelf.trouble
    assert (shelf.model("toys-1"), shelf.model("toys-2")) == (None, "v2 says hello")


def test_takes_up_what_is_promoted(store: Store, shelf: Shelf[str]) -> None:
    promote(store, "v1")
    shelf.refresh()
    publish(store, "v2")
    shelf.refresh()
    assert shelf.model("toys-1") == "v1 says hello"
    store.promote("latest")
    shelf.refresh()
    assert (shelf.model("toys-1"), shelf.trouble) == ("v2 says hello", "")


def test_a_refused_model_leaves_the_old_one(store: Store, shelf: Shelf[str]) -> None:
    promote(store, "v1")
    shelf.refresh()
    promote(store, "v2", details={"refuse": "thresholds"})
    shelf.refresh()
    assert (shelf.model("toys-1"), shelf.empty) == ("v1 says hello", False)
    assert shelf.trouble == (
        "model refused: v2: KeyError('thresholds'); v1 scores instead: "
        "type `millrace train toys --promote`"
    )

    promote(store, "v3")
    (store.folder / "v3" / "words.txt").write_text("hell")
    shelf.refresh()
    assert shelf.model("toys-1") == "v1 says hello"
    assert "v3: words.txt is not what was published" in shelf.trouble

    promote(store, "v4")
    shelf.refresh()
    assert (shelf.model("toys-1"), shelf.trouble) == ("v4 says hello", "")


def test_an_unchanged_folder_is_not_read_again(store: Store, shelf: Shelf[str]) -> None:
    promote(store, "v1")
    shelf.refresh()
    (store.folder / "v1" / "words.txt").unlink()
    shelf.refresh()
    assert (shelf.model("toys-1"), shelf.trouble) == ("v1 says hello", "")


def test_a_model_that_could_not_be_read_is_read_again(store: Store, shelf: Shelf[str]) -> None:
    promote(store, "v1")
    words = store.folder / "v1" / "words.txt"
    words.rename(words.with_suffix(".away"))
    shelf.refresh()
    assert shelf.trouble.startswith("model refused: v1")
    assert shelf.empty
    words.with_suffix(".away").rename(words)
    shelf.refresh()
    assert (shelf.model("toys-1"), shelf.trouble) == ("v1 says hello", "")


def test_a_withdrawn_model_scores_nothing_any_more(store: Store, shelf: Shelf[str]) -> None:
    promote(store, "v1")
    promote(store, "v2", rows="toys-2")
    promote(store, "v3", rows="toys-2")
    shelf.refresh()
    store.rollback()
    shelf.refresh()
    assert shelf.model("toys-2") == "v2 says hello"
    store.rollback()
    shelf.refresh()
    assert shelf.model("toys-1") == "v1 says hello"
    assert (shelf.model("toys-2"), shelf.search("toys-2")) == (None, None)


def test_older_rows_keep_the_model_that_was_current_for_them(
    store: Store, shelf: Shelf[str]
) -> None:
    promote(store, "old", rows="toys-0")
    promote(store, "older", rows="toys-0", details={"refuse": "me"})
    promote(store, "new")
    publish(store, "newest", feature_set_version="toys-0")
    shelf.refresh()
    assert shelf.model("toys-0") is None
    assert shelf.search("toys-0") == shelf.model("toys-0") == "old says hello"
    assert shelf.model("toys-1") == "new says hello"
    assert shelf.search("toys-99") is None


def test_a_damaged_history_leaves_what_there_is(store: Store, shelf: Shelf[str]) -> None:
    promote(store, "v1")
    shelf.refresh()
    (store.folder / "history.jsonl").write_text("no")
    shelf.refresh()
    assert shelf.model("toys-1") == "v1 says hello"
    assert "history.jsonl is damaged" in shelf.trouble
    assert shelf.search("toys-0") is None


def test_watching_takes_up_what_comes_later(store: Store, shelf: Shelf[str]) -> None:
    stop = threading.Event()
    thread = shelf.watch(0.005, stop)
    promote(store, "v1")
    for _ in range(2000):
        if not shelf.empty:
            break
        stop.wait(0.005)
    stop.set()
    thread.join()
    assert not shelf.empty

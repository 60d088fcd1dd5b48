"""Publish, promote, roll back, list: the shelf's folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from config.errors import UserError
from config.files import write
from orchestration.shelf import kinds
from orchestration.shelf import store as module
from orchestration.shelf.card import UnusableModelError
from orchestration.shelf.store import Store
from tests.unit.orchestration.shelves import PRODUCT, Words, kind, publish


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Iterator[Words]:
    with kind(monkeypatch) as registered:
        yield registered


@pytest.fixture
def store(tmp_path: Path, words: Words) -> Store:
    clock = count(1)
    return Store(tmp_path / PRODUCT, now=lambda: float(next(clock)))


def names(store: Store) -> set[str]:
    return {path.name for path in store.folder.iterdir() if path.name != ".lock"}


class TestPublish:
    def test_whole_and_nobodys(self, store: Store) -> None:
        card = publish(store, "v1", details={"thresholds": [1, 2]})
        assert store.load("v1") == (card, "v1 says hello")
        assert (card.features, card.details) == (("a", "b"), {"thresholds": [1, 2]})
        assert store.current() is None
        assert names(store) == {"v1", "history.jsonl"}
        found = {path.name for path in (store.folder / "v1").iterdir()}
        assert found == {"model.json", "words.txt"}

    def test_an_existing_version_stays_as_it_is(self, store: Store) -> None:
        first = publish(store, "v1", "one")
        assert publish(store, "v1", "two") == first
        assert store.load("v1")[1] == "v1 says one"

    def test_a_damaged_one_is_written_anew(self, store: Store) -> None:
        publish(store, "v1", "one")
        (store.folder / "v1" / "words.txt").write_text("o")
        publish(store, "v1", "one")
        assert store.load("v1")[1] == "v1 says one"

    def test_nothing_is_left_of_a_failure(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(TypeError):
            publish(store, "v1", details={"a": object()})

        def full(*_: object, **__: object) -> None:
            raise OSError("disk full")

        monkeypatch.setattr(module, "write", full)
        with pytest.raises(OSError, match="disk full"):
            publish(store, "v1")
        assert names(store) == set()

    def test_what_a_killed_writer_left_goes(self, store: Store) -> None:
        (store.folder / ".draft-x").mkdir(parents=True)
        (store.folder / ".draft-x" / "model.json").write_text("{")
        assert store.versions() == []
        publish(store, "v1")
        assert names(store) == {"v1", "history.jsonl"}

    @pytest.mark.parametrize("version", ["", "../v1", "a/b", ".hidden", "model.json"])
    def test_a_version_is_a_plain_name(self, store: Store, version: str) -> None:
        with pytest.raises(ValueError, match="not a valid name for a version"):
            publish(store, version)


class TestRead:
    @pytest.mark.parametrize("kept", [0, 1, 4])
    def test_truncated_or_changed_bytes_are_never_parsed(
        self, store: Store, words: Words, kept: int
    ) -> None:
        publish(store, "v1")
        (store.folder / "v1" / "words.txt").write_text("hello"[:kept])
        with pytest.raises(UnusableModelError, match=r"v1: words.txt is not what was published"):
            store.load("v1")
        assert words.loads == 0

    def test_a_missing_artefact(self, store: Store) -> None:
        publish(store, "v1")
        (store.folder / "v1" / "words.txt").unlink()
        with pytest.raises(UnusableModelError, match=r"v1: FileNotFoundError"):
            store.load("v1")

    def test_a_card_that_is_none(self, store: Store) -> None:
        publish(store, "v1")
        card = store.folder / "v1" / "model.json"
        whole = json.loads(card.read_text())
        outside = {**whole, "files": {"../v2/words.txt": "0"}}
        for text in ("", "[]", "{}", json.dumps({**whole, "files": []}), json.dumps(outside)):
            card.write_text(text)
            with pytest.raises(UnusableModelError, match=r"v1: model\.json: "):
                store.card("v1")

    def test_a_folder_under_another_name(self, store: Store) -> None:
        publish(store, "v1")
        shutil.copytree(store.folder / "v1", store.folder / "v2")
        with pytest.raises(UnusableModelError, match=r"v2: model\.json is that of v1"):
            store.load("v2")

    def test_what_a_kind_raises_refuses_the_model(self, store: Store) -> None:
        publish(store, "v1", "broken")
        with pytest.raises(UnusableModelError, match=r"v1: ZeroDivisionError"):
            store.load("v1")

    def test_an_unknown_kind(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        publish(store, "v1")
        monkeypatch.setattr(kinds, "_KINDS", {"index": kinds.Index()})
        with pytest.raises(UnusableModelError, match=r"v1 is of the unknown kind 'words': index"):
            store.load("v1")

    def test_a_kind_has_one_name(self, words: Words) -> None:
        with pytest.raises(ValueError, match="already registered"):
            kinds.register("words", words)

    def test_an_index_is_its_products_own_bytes(self, store: Store) -> None:
        files = {"items.bin": b"\x00\x01", "ids.txt": b"a\n"}
        store.publish("i1", "index", files, feature_set_version="", features=(), details={})
        assert store.load("i1")[1] == files


class TestPromote:
    def test_one_after_the_other(self, store: Store) -> None:
        publish(store, "v1")
        publish(store, "v2")
        assert store.promote("v1") == ("v1", None)
        assert store.promote("latest") == ("v2", "v1")
        assert store.current() == "v2"
        assert store.history().line() == ("v1", "v2")

    def test_latest_is_the_one_published_last(self, store: Store) -> None:
        for version in ("b", "a", "b"):  # trained again, the same model comes last
            publish(store, version)
        publish(store, "c")
        publish(store, "b")
        assert store.promote("latest")[0] == "b"

    def test_again_changes_nothing(self, store: Store) -> None:
        publish(store, "v1")
        store.promote("v1")
        before = store.history()
        assert store.promote("v1") == ("v1", "v1")
        assert store.history() == before

    @pytest.mark.parametrize("version", ["v9", "../toys/v1", "", "latest"])
    def test_an_unknown_version(self, store: Store, version: str) -> None:
        store.folder.mkdir()
        with pytest.raises(UserError, match=f"no model '{version}' of toys; there are: none"):
            store.promote(version)

    @pytest.mark.parametrize("text", ["truncated", "broken"])
    def test_an_unfit_one_does_not_become_current(self, store: Store, text: str) -> None:
        publish(store, "v1")
        store.promote("v1")
        publish(store, "v2", text)
        if text == "truncated":
            (store.folder / "v2" / "words.txt").write_text(text[:3])
        with pytest.raises(UserError, match="the model is unfit: v2"):
            store.promote("v2")
        assert (store.current(), store.history().line()) == ("v1", ("v1",))

    def test_a_killed_promotion_is_completed_by_typing_it_again(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(store, "v1")
        publish(store, "v2")
        store.promote("v1")

        def killed(path: Path, text: str, **options: bool) -> None:
            if path.name == "current":
                raise KeyboardInterrupt
            write(path, text, **options)

        monkeypatch.setattr(module, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            store.promote("v2")
        assert store.current() == "v1"
        monkeypatch.undo()
        with kind(monkeypatch):
            assert store.promote("v2") == ("v2", "v1")
        assert (store.current(), store.history().line()) == ("v2", ("v1", "v2"))

    def test_many_at_once(self, store: Store) -> None:
        versions = [f"v{number}" for number in range(6)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda version: publish(store, version), versions))
            list(pool.map(store.promote, versions * 3))
        assert sorted(store.history().line()) == versions
        assert store.current() == store.history().line()[-1]
        assert names(store) == {*versions, "current", "history.jsonl"}

    def test_a_damaged_history_is_told(self, store: Store) -> None:
        publish(store, "v1")
        (store.folder / "history.jsonl").write_text("{")
        with pytest.raises(UserError, match=r"history\.jsonl is damaged"):
            store.promote("v1")


class TestRollback:
    def test_back_one_by_one(self, store: Store) -> None:
        for version in ("v1", "v2", "v3"):
            publish(store, version)
            store.promote(version)
        assert store.rollback() == ("v2", "v3")
        assert store.rollback() == ("v1", "v2")
        assert store.current() == "v1"
        with pytest.raises(UserError, match="no model of toys was current before v1"):
            store.rollback()
        store.promote("v3")
        assert store.rollback() == ("v1", "v3")

    def test_a_model_that_was_promoted_twice_is_withdrawn_all_the_same(self, store: Store) -> None:
        for version in ("v1", "v2"):
            publish(store, version)
            store.promote(version)
        store.promote("v1")
        assert store.rollback() == ("v2", "v1")
        assert store.history().line() == ("v2",)

    def test_nothing_was_ever_promoted(self, store: Store) -> None:
        publish(store, "v1")
        with pytest.raises(UserError, match="no model of toys was current"):
            store.rollback()

    def test_not_to_one_that_is_damaged(self, store: Store) -> None:
        for version in ("v1", "v2"):
            publish(store, version)
            store.promote(version)
        (store.folder / "v1" / "words.txt").unlink()
        with pytest.raises(UserError, match="the model is unfit: v1"):
            store.rollback()
        assert (store.current(), store.history().line()) == ("v2", ("v1", "v2"))

    def test_a_killed_rollback_is_completed_by_typing_it_again(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for version in ("v1", "v2", "v3"):
            publish(store, version)
            store.promote(version)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(store, "_add", killed)
            with pytest.raises(KeyboardInterrupt):
                store.rollback()
        assert store.current() == "v2"
        assert store.rollback() == ("v2", "v3")
        assert store.history().line() == ("v1", "v2")


def test_the_list_says_what_each_is(store: Store) -> None:
    for version in ("v1", "v2", "v3", "v4", "v5"):
        publish(store, version, feature_set_version=f"toys-{version[1]}")
        if version != "v4":
            store.promote(version)
        if version == "v3":
            store.rollback()
    (store.folder / "v4" / "model.json").write_text("")
    shutil.copytree(store.folder / "v4", store.folder / "by-hand")
    found = store.listed()
    assert [(one.version, one.state) for one in found] == [
        ("by-hand", "published"),
        ("v1", "promoted"),
        ("v2", "promoted"),
        ("v3", "withdrawn"),
        ("v4", "published"),
        ("v5", "current"),
    ]
    assert [bool(one.trouble) for one in found] == [True, False, False, False, True, False]
    assert found[0].published is None
    assert (found[1].kind, found[1].feature_set_version, found[1].published) == (
        "words",
        "toys-1",
        1000,
    )

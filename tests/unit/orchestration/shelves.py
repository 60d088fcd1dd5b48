"""Models of a kind that tests register: a predictor that says what its file holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from orchestration.shelf import kinds
from orchestration.shelf.card import Card
from orchestration.shelf.kinds import Files
from orchestration.shelf.store import Store

PRODUCT = "toys"


class Words:
    """The kind: a text, unless it is `broken`."""

    loads = 0

    def load(self, card: Card, files: Files) -> str:
        self.loads += 1
        text = files["words.txt"].decode()
        if text == "broken":
            raise ZeroDivisionError("broken")
        return f"{card.version} says {text}"


@contextmanager
def kind(monkeypatch: pytest.MonkeyPatch) -> Iterator[Words]:
    """Register `Words` under the name words, for one test."""
    monkeypatch.setattr(kinds, "_KINDS", dict(kinds._KINDS))
    words = Words()
    kinds.register("words", words)
    yield words


def publish(store: Store, version: str, text: str = "hello", **changes: Any) -> Card:
    """Publish a model of the kind."""
    given = {"feature_set_version": "toys-1", "features": ("a", "b"), "details": {}, **changes}
    return store.publish(version, "words", {"words.txt": text.encode()}, **given)

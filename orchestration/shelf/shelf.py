"""Provide a running process with the models it scores with, and take up new ones as it runs.

Besides the current model there may be older ones: rows of an older feature-set version still in
flight keep the newest model that was promoted for that version, so an upgrade needs no pause.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from orchestration.shelf.card import Card, UnusableModelError
from orchestration.shelf.store import Store

Model = TypeVar("Model")
Accept = Callable[[Card, Any], Model]

log = structlog.get_logger(__name__)

WATCH_S = 0.2
"""How often a running process looks at its folder: two calls of `stat`."""


class Shelf(Generic[Model]):
    """The models a consumer scores with.

    `watch` reads the folder on a thread of its own; the consumer only takes references.
    """

    def __init__(self, folder: Path, accept: Accept[Model], train: str) -> None:
        """Set up the shelf of `folder` without reading it yet.

        `accept` makes the product's own model of a card and a predictor; it raises
        UnusableModelError, ValueError, KeyError or TypeError to refuse one. `train` is the command
        that makes a first model, named in messages while there is none.
        """
        self._store, self._accept, self._train = Store(folder), accept, train
        self._models: dict[str, tuple[str, Model]] = {}  # by feature-set version, with its version
        self._seen: object = None
        self._challenger: tuple[str, Model] | None = None
        self._marked: object = None
        self.challenger_refused: tuple[str, str] | None = None
        """The version of a challenger that cannot be used, and why."""
        self._changing = threading.Lock()  # `refresh` and `search` are on two threads
        self.refused = ""
        """Why the current model was refused, for a consumer that also works without any."""
        self._absence = self._absent()

    @property
    def trouble(self) -> str:
        """Return why the current model was refused, or that there is none; empty if all is well."""
        return self.refused or self._absence

    def _absent(self) -> str:
        if self._store.versions():
            command = f"millrace model promote {self._store.product} latest"
            return f"no model is promoted: type `{command}`"
        return f"no model: type `{self._train}`"

    def model(self, feature_set_version: str) -> Model | None:
        """Return the model for rows of this version, or None."""
        found = self._models.get(feature_set_version)
        return found[1] if found else None

    @property
    def challenger(self) -> Model | None:
        """Return the model that scores beside the current one, or None."""
        return None if self._challenger is None else self._challenger[1]

    @property
    def held(self) -> dict[str, str]:
        """Return the version of the model for rows of each feature-set version."""
        return {rows: version for rows, (version, _) in self._models.items()}

    @property
    def empty(self) -> bool:
        """Return whether there is no model at all."""
        return not self._models

    def refresh(self) -> None:
        """Load the current model and the challenger and drop withdrawn ones, if anything changed.

        If the new model is refused, the old one stays; a challenger that is refused does not.
        """
        stamp = self._store.stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        with self._changing:
            try:
                self._look()
            except (UnusableModelError, OSError) as error:
                held = next((version for version, _ in self._models.values()), None)
                instead = f"; {held} scores instead" if held else ""
                trouble = f"model refused: {error}{instead}: type `{self._train}`"
                if trouble != self.trouble:
                    log.error("model refused", error=str(error))  # noqa: TRY400 - says it all
                self.refused = trouble
                # A disk that did not answer may answer the next time, with the folder as it is.
                if isinstance(error, OSError) or isinstance(error.__cause__, OSError):
                    self._seen = None
            self._look_aside()

    def _look_aside(self) -> None:
        """Load the challenger if one was named: named again, one set aside is tried again."""
        named: str | None = None
        try:
            mark = self._store.shadow_stamp()
            if mark is not None and mark == self._marked:
                return
            self._marked, named = mark, self._store.shadow()
            found = (named, self._load(named)[1]) if named else None
        except Exception as error:  # whatever is wrong with it: nothing rests on it
            self._challenger, self.challenger_refused = None, (named or "unknown", str(error))
            log.error("challenger refused", error=str(error))  # noqa: TRY400 - says it all
            return
        if found or self._challenger:
            log.info("challenger", model=named)
        self._challenger, self.challenger_refused = found, None

    def _look(self) -> None:
        # In this order, because a promotion writes the history before `current`.
        current = self._store.current()
        line = self._store.history().line()
        if current is None:
            self.refused = ""
            self._absence = self._absent() if self.empty else ""
            return
        kept = {rows: held for rows, held in self._models.items() if held[0] in line}
        for version in sorted(held[0] for held in self._models.values() if held[0] not in line):
            log.warning("model withdrawn", model=version)
        self._models = kept
        if current not in line:
            raise UnusableModelError(f"{current} was never promoted, or was withdrawn")
        card, model = self._load(current)
        self._models = {**kept, card.feature_set_version: (current, model)}
        self.refused = self._absence = ""
        log.info("model loaded", model=current, feature_set=card.feature_set_version)

    def search(self, feature_set_version: str) -> Model | None:
        """Return the model last promoted for rows of a version that no loaded model serves.

        Models never promoted or since withdrawn do not count. Reads every card, which is rarely
        needed.
        """
        with self._changing:
            try:
                line = self._store.history().line()
            except UnusableModelError:
                return None
            for version in reversed(line):
                try:
                    if self._store.card(version).feature_set_version != feature_set_version:
                        continue
                    _, model = self._load(version)
                except UnusableModelError:
                    continue
                self._models = {feature_set_version: (version, model), **self._models}
                log.warning(
                    "older model for older features",
                    model=version,
                    feature_set=feature_set_version,
                )
                return model
        return None

    def _load(self, version: str) -> tuple[Card, Model]:
        card, predictor = self._store.load(version)
        try:
            return card, self._accept(card, predictor)
        except (ValueError, KeyError, TypeError) as error:
            raise UnusableModelError(f"{version}: {error!r}") from error

    def watch(self, seconds: float, stop: threading.Event) -> threading.Thread:
        """Refresh now and every `seconds` until `stop`."""
        self.refresh()

        def turn() -> None:
            while not stop.wait(seconds):
                self.refresh()

        thread = threading.Thread(target=turn, name="models", daemon=True)
        thread.start()
        return thread

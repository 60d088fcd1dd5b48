"""Store the models of one product on disk: publish, promote, roll back, list, read.

A published model is not used until it is promoted. Writers hold a lock on the folder; readers need
none, because everything is replaced in one step. A promotion writes the history before `current`, a
rollback `current` before the history. So whatever a killed writer leaves behind, the current model
is one that was promoted, and repeating the command completes it.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.errors import UserError
from config.files import locked, sync, write
from orchestration.shelf import kinds
from orchestration.shelf.card import FILE, Card, UnusableModelError, digest
from orchestration.shelf.history import Event, History, What

CURRENT, HISTORY, LATEST = "current", "history.jsonl", "latest"
SHADOW = "shadow"
"""The file that names the challenger, a model that scores beside the current one."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One version of a shelf.

    `state` is current, promoted (and followed by another, kept for rows of older features),
    withdrawn, or published (never promoted); `shadow` says that it is the challenger. `published`
    is in ms, None if the history does not know it. `trouble` says why the card cannot be read; kind
    and feature set are then empty.
    """

    version: str
    state: str
    kind: str
    feature_set_version: str
    published: int | None
    trouble: str = ""
    shadow: bool = False


class Store:
    """A shelf's folder."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self.folder, self._now = folder, now

    @property
    def product(self) -> str:
        """Return the product whose models these are: the folder's name."""
        return self.folder.name

    # Reading

    def versions(self) -> list[str]:
        """Return every version on disk, by name."""
        found = (path.parent.name for path in self.folder.glob(f"*/{FILE}"))
        return sorted(name for name in found if not name.startswith("."))

    def current(self) -> str | None:
        """Return the version that `current` names; None before the first promotion."""
        return _named_in(self.folder / CURRENT)

    def shadow(self) -> str | None:
        """Return the challenger, which scores beside the current model; None without one."""
        return _named_in(self.folder / SHADOW)

    def history(self) -> History:
        """Return the history. Raise UnusableModelError if the file is damaged."""
        try:
            return History.parse((self.folder / HISTORY).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return History()
        except (ValueError, TypeError, KeyError) as error:
            raise UnusableModelError(f"{self.folder / HISTORY} is damaged: {error}") from error

    def stamp(self) -> tuple[tuple[int, int] | None, ...]:
        """Return a value that changes whenever the history, the current model or shadow does."""
        return tuple(_stamp(self.folder / name) for name in (CURRENT, HISTORY, SHADOW))

    def shadow_stamp(self) -> tuple[int, int] | None:
        """Return a value that changes whenever a challenger is named, also the same; None: none."""
        return _stamp(self.folder / SHADOW)

    def card(self, version: str) -> Card:
        """Return the card of a version. Raise UnusableModelError if it cannot be read."""
        try:
            card = Card.of(json.loads((self.folder / version / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnusableModelError(f"{version}: {FILE}: {error!r}") from error
        if card.version != version:
            raise UnusableModelError(f"{version}: {FILE} is that of {card.version}")
        return card

    def files(self, card: Card) -> dict[str, bytes]:
        """Return the artefacts of a model.

        Raise UnusableModelError if one is missing or is not what was published. They are never
        parsed before that check: on a truncated text, LightGBM's parser ends the process or makes
        another model.
        """
        found: dict[str, bytes] = {}
        for name, expected in card.files.items():
            try:
                found[name] = (self.folder / card.version / name).read_bytes()
            except OSError as error:
                raise UnusableModelError(f"{card.version}: {error!r}") from error
            if digest(found[name]) != expected:
                raise UnusableModelError(
                    f"{card.version}: {name} is not what was published: its SHA-256 differs"
                )
        return found

    def load(self, version: str) -> tuple[Card, Any]:
        """Return card and predictor of a version. Raise UnusableModelError if it is unfit."""
        card = self.card(version)
        return card, kinds.load(card, self.files(card))

    def listed(self) -> list[Listed]:
        """Return every version, those of unknown age first, then the oldest first.

        Raise UserError if the history is damaged.
        """
        history, current, shadow = self._history(), self.current(), self.shadow()
        published, line, ever = history.published(), history.line(), history.ever_promoted()
        order = {version: place for place, version in enumerate(published)}

        def state(version: str) -> str:
            if version not in line:
                return "withdrawn" if version in ever else "published"
            return "current" if version == current else "promoted"

        def listed(version: str) -> Listed:
            at, beside = published.get(version), version == shadow
            try:
                card = self.card(version)
            except UnusableModelError as error:
                return Listed(version, state(version), "", "", at, str(error), beside)
            rows = card.feature_set_version
            return Listed(version, state(version), card.kind, rows, at, shadow=beside)

        return [listed(one) for one in sorted(self.versions(), key=lambda v: order.get(v, -1))]

    # Writing

    def publish(
        self,
        version: str,
        kind: str,
        artefacts: Mapping[str, bytes],
        *,
        feature_set_version: str,
        features: Sequence[str],
        details: Mapping[str, Any],
    ) -> Card:
        """Write a complete model, without making it current.

        A version that exists and is whole stays unchanged: equal versions are equal models. Raise
        ValueError or TypeError for a card that JSON cannot hold, and leave nothing behind then.
        """
        hashes = {name: digest(content) for name, content in artefacts.items()}
        card = Card.of(
            Card(version, kind, hashes, feature_set_version, tuple(features), details).document()
        )
        text = json.dumps(card.document(), indent=2) + "\n"
        with self._locked():
            if not self._whole(version):
                self._put(version, {**artefacts, FILE: text.encode()})
            self._add("published", version)
        return self.card(version)

    def promote(self, version: str) -> tuple[str, str | None]:
        """Make a version current and return (now, before); before is None for the first.

        `latest` stands for the version published last. Raise UserError for an unknown version or
        one that cannot be loaded.
        """
        with self._locked():
            version = self._named(version)
            self._try(version)
            before, history = self.current(), self._history()
            if history.line()[-1:] != (version,):
                self._add("promoted", version)
            write(self.folder / CURRENT, version + "\n", durable=True)
            if self.shadow() == version:
                (self.folder / SHADOW).unlink()
            return version, before

    def rollback(self) -> tuple[str, str]:
        """Withdraw the current model and make the one before it current; return (now, withdrawn).

        A withdrawn model scores nothing until it is promoted again. Raise UserError if there is
        none before it, or if that one cannot be loaded.
        """
        with self._locked():
            line = self._history().line()
            if len(line) < 2:
                before = f" before {line[0]}" if line else ""
                raise UserError(f"no model of {self.product} was current{before}")
            before, withdrawn = line[-2:]
            self._try(before)
            write(self.folder / CURRENT, before + "\n", durable=True)
            self._add("withdrawn", withdrawn)
            return before, withdrawn

    def challenge(self, version: str) -> tuple[str, str | None]:
        """Let a version score beside the current model and return (now, before).

        `latest` stands for the version published last. Raise UserError for an unknown version, the
        current one, or one that cannot be loaded.
        """
        with self._locked():
            version = self._named(version)
            if version == self.current():
                raise UserError(f"{version} is the current model of {self.product}")
            self._try(version)
            before = self.shadow()
            write(self.folder / SHADOW, version + "\n", durable=True)
            return version, before

    def unchallenged(self) -> str | None:
        """Let nothing score beside the current model; return what did."""
        with self._locked():
            before = self.shadow()
            (self.folder / SHADOW).unlink(missing_ok=True)
            return before

    def _named(self, version: str) -> str:
        versions = self.versions()
        last = self._history().last("published") if version == LATEST else version
        if last not in versions:
            known = ", ".join(versions) or "none"
            raise UserError(f"no model {version!r} of {self.product}; there are: {known}")
        return last

    def _history(self) -> History:
        try:
            return self.history()
        except UnusableModelError as error:
            raise UserError(str(error)) from error

    def _try(self, version: str) -> None:
        try:
            self.load(version)
        except UnusableModelError as error:
            raise UserError(f"the model is unfit: {error}") from error

    def _whole(self, version: str) -> bool:
        try:
            self.files(self.card(version))
        except UnusableModelError:
            return False
        return True

    def _put(self, version: str, content: Mapping[str, bytes]) -> None:
        for left in self.folder.glob(".draft-*"):  # left by a writer that was killed
            shutil.rmtree(left)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=self.folder))
        try:
            draft.chmod(0o755)
            for name, data in content.items():
                write(draft / name, data, durable=True)
            target = self.folder / version
            if target.exists():  # damaged, as `publish` has checked
                shutil.rmtree(target)
            draft.rename(target)
            sync(self.folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def _add(self, what: What, version: str) -> None:
        event = Event(int(self._now() * 1000), what, version)
        write(self.folder / HISTORY, self._history().then(event).text(), durable=True)

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.folder / ".lock")


def _named_in(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino

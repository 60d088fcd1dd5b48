"""Say what a product supplies to be retrained; the steps do everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestration.retraining.checks import Wanted
from orchestration.retraining.gate import Limits
from orchestration.shelf.card import Card
from orchestration.training.frame import Frame
from orchestration.training.paired import Difference

Report = Callable[[str, int | None], Callable[[int], None]]
"""Begins a stage, given its name and size, and returns what takes its progress."""

Held = tuple[Any, Frame]
"""A predictor, and the rows that are held out with the features that it reads."""


@dataclass(frozen=True, slots=True)
class Window:
    """The time to learn from, in ms: rows from `begin` on whose verdicts are known by `until`."""

    begin: int
    until: int


@dataclass(frozen=True, slots=True)
class Extract:
    """Rows to learn from, and their origin: what a person needs to get the same rows again."""

    frame: Frame
    origin: Mapping[str, Any]


class Retrained(Protocol):
    """A product whose model is retrained."""

    @property
    def name(self) -> str:
        """Return the name of the product and of its shelf."""
        ...

    @property
    def feature_set_version(self) -> str:
        """Return the version of the feature set of the rows that it extracts."""
        ...

    def asked(self, window: Window) -> dict[str, Any]:
        """Return what decides which rows are extracted, as JSON: equal ones give equal rows."""
        ...

    def tables(self) -> tuple[str, ...]:
        """Return the lake's tables that the rows come from; none if they come from elsewhere."""
        ...

    def extract(self, window: Window, pinned: Mapping[str, int], report: Report) -> Extract:
        """Return the rows of a window.

        `pinned` are the snapshots that an earlier extraction for the same date read, by table.
        Raise UserError if there is nothing to read.
        """
        ...

    def wanted(self) -> Wanted:
        """Return what the rows must have at least."""
        ...

    def limits(self) -> Limits:
        """Return what the gate asks."""
        ...

    def learn(self, frame: Frame, origin: Mapping[str, Any], shelf: Path, report: Report) -> Card:
        """Train on the earlier part of the rows and publish on a shelf.

        Deterministic. Raise UserError if the rows do not allow it.
        """
        ...

    def held_out(self, frame: Frame) -> Frame:
        """Return the rows that `learn` does not learn from."""
        ...

    def metrics(self, card: Card, predictor: Any, frame: Frame) -> dict[str, float]:
        """Measure a model on rows; `rows` and `frauds` count them."""
        ...

    def differences(self, ours: Held, theirs: Held) -> Mapping[str, Difference]:
        """Return how far the challenger's metrics lie from the champion's, by name.

        The gate refuses a challenger that is surely worse in one of them.
        """
        ...

"""Check that a model suits the detection of anomalies, and judge windows with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from domain.alerts.episodes import Criticality
from domain.anomalies.policy import Thresholds
from orchestration.shelf.card import Card, UnusableModelError
from orchestration.shelf.kinds import Matrix, Scores

TRAIN = "millrace train anomalies --data WINDOWS --promote"
SCORE, MARGIN = "score", "margin"
LARGEST = float(np.finfo(np.float32).max)
"""Beyond it a value is no 32-bit float."""


class UnfitError(Exception):
    """Raised for a window whose features are not those that the model scores."""


@runtime_checkable
class Graph(Protocol):
    """A predictor of several outputs."""

    def outputs(self, rows: Matrix) -> dict[str, Scores]:
        """Return each output by name, one number per row."""
        ...


@dataclass(frozen=True, slots=True)
class Contribution:
    """What a feature adds to a window's log odds of being an anomaly, beside its usual value.

    `value` is None where it was unknown; the usual value then stands for it and adds nothing.
    """

    feature: str
    value: float | None
    usual: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on a window. `detectors` holds the score of each detector by name."""

    score: float
    threshold: float
    detectors: Mapping[str, float]
    explanation: tuple[Contribution, ...]

    @property
    def is_anomaly(self) -> bool:
        """Return whether the score reaches the threshold."""
        return self.score >= self.threshold


@dataclass(frozen=True, slots=True)
class Judged:
    """Scores and margins of windows, and the score of each detector by name, one per window."""

    scores: Scores
    margins: Scores
    detectors: Mapping[str, Scores]

    def of_detectors(self, number: int) -> dict[str, float]:
        """Return the score of each detector of a window."""
        return {name: float(one[number]) for name, one in self.detectors.items()}


@dataclass(frozen=True, slots=True)
class Model:
    """A detector with its features, their usual values (training's medians), and thresholds."""

    version: str
    detector: str
    features: tuple[str, ...]
    usual: tuple[float, ...]
    thresholds: Thresholds
    graph: Graph

    def row(self, features: Mapping[str, float | None]) -> list[float]:
        """Return a window's features in the model's order, NaN: unknown.

        Raise UnfitError for features that are missing, unknown to the model, or no 32-bit floats.
        """
        if missing := [name for name in self.features if name not in features]:
            raise UnfitError(f"features missing: {', '.join(missing)}")
        if unknown := sorted(set(features) - set(self.features)):
            raise UnfitError(f"the model knows no features {', '.join(unknown)}")
        found = [features[name] for name in self.features]
        row = [float("nan") if value is None else float(value) for value in found]
        if any(abs(value) > LARGEST for value in row):
            raise UnfitError("a feature lies beyond 32-bit floats")
        return row

    def judge(
        self, rows: Matrix, criticalities: Sequence[Criticality], *, explain_all: bool = True
    ) -> list[Verdict]:
        """Judge windows, shape (windows, features); without `explain_all` explain anomalies only.

        A feature's contribution is by how much the margin falls when the usual value takes its
        place and all others stay (ablation). Features that matter only together each have the
        whole of it, so contributions need not add up to the margin.
        """
        found = self.judged(rows)
        thresholds = np.array([self.thresholds.of(one) for one in criticalities])
        wanted = np.flatnonzero((found.scores >= thresholds) | explain_all)
        explained = dict(
            zip(wanted.tolist(), self.explained(rows[wanted], found.margins[wanted]), strict=True)
        )
        return [
            Verdict(
                float(found.scores[number]),
                float(thresholds[number]),
                found.of_detectors(number),
                explained.get(number, ()),
            )
            for number in range(len(rows))
        ]

    def judged(self, rows: Matrix) -> Judged:
        """Return what the graph says of windows, shape (windows, features)."""
        found = self.graph.outputs(rows)
        scores, margins = found.pop(SCORE), found.pop(MARGIN)
        each = {name.removeprefix(f"{MARGIN}_"): _logistic(one) for name, one in found.items()}
        return Judged(scores, margins, each)

    def explained(self, rows: Matrix, margins: Scores) -> list[tuple[Contribution, ...]]:
        """Return the contributions to each row's margin, the greatest first."""
        if not len(rows):
            return []
        width = len(self.features)
        changed = np.repeat(rows, width, axis=0)
        places = np.tile(np.arange(width), len(rows))
        changed[np.arange(len(changed)), places] = np.array(self.usual)[places]
        without = self.graph.outputs(changed)[MARGIN].reshape(len(rows), width)
        return [
            self._contributions(row, margin - less)
            for row, margin, less in zip(rows, margins, without, strict=True)
        ]

    def _contributions(self, row: Matrix, added: Scores) -> tuple[Contribution, ...]:
        found = [
            Contribution(name, None if np.isnan(value) else float(value), usual, float(amount))
            for name, value, usual, amount in zip(
                self.features, row, self.usual, added, strict=True
            )
        ]
        return tuple(sorted(found, key=lambda one: -abs(one.contribution)))


def _logistic(margins: Scores) -> Scores:
    return np.asarray(1 / (1 + np.exp(-np.clip(margins, -500, 500))), dtype=np.float64)


def accept(card: Card, predictor: Any) -> Model:
    """Make the product's model of a card and a predictor.

    Raise UnusableModelError, ValueError, KeyError or TypeError for a model that gives no margins,
    lacks a usual value, or has thresholds that contradict each other.
    """
    if not isinstance(predictor, Graph):
        raise UnusableModelError(f"{card.version}: a model of kind {card.kind} has no margins")
    usual = tuple(float(card.details["medians"][name]) for name in card.features)
    outputs = predictor.outputs(np.array([usual]))
    if absent := {SCORE, MARGIN} - set(outputs):
        raise UnusableModelError(f"{card.version}: the graph has no output {sorted(absent)[0]!r}")
    return Model(
        card.version,
        str(card.details["detector"]),
        card.features,
        usual,
        Thresholds(**card.details["thresholds"]),
        predictor,
    )

"""Score batches of feature records by the models of a shelf, each by its feature set's model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from config.errors import RetryableError
from domain.events import Decision
from domain.fraud.policy import reasons
from orchestration.shelf.distribution import Floats
from orchestration.shelf.shelf import Shelf
from serving.consumers.product import Incoming, Result
from serving.fraud.model import Model

Batch = Sequence[Incoming]


@dataclass(frozen=True, slots=True)
class Scored:
    """A batch as one model scored it: a row, a score and a decision for each record, in order."""

    model: Model
    rows: Floats
    scores: list[float]
    decisions: list[Decision]

    @classmethod
    def by(cls, model: Model, batch: Batch, other: Scored | None = None) -> Scored:
        """Score a batch. `other` is the same batch scored by another model: its rows may do."""
        rows = (
            other.rows
            if other is not None and other.model.features == model.features
            else np.array(
                [[row.record[name] for name in model.features] for row in batch], dtype=np.float64
            )
        )
        scores = [float(score) for score in model.predictor.predict(rows)]
        return cls(model, rows, scores, [model.thresholds.decide(score) for score in scores])

    def reasons(self, places: Sequence[int]) -> list[tuple[str, ...]]:
        """Return the reasons of the records at `places`, none of the others.

        They cost ten times the score, so ask for them only where they are told.
        """
        told: list[tuple[str, ...]] = [()] * len(self.scores)
        if places:
            found = self.model.predictor.contributions(self.rows[list(places)])
            for place, contributions in zip(places, found, strict=True):
                told[place] = reasons(self.decisions[place], contributions)
        return told


class Scorer:
    """The models by which a product scores.

    `version` is the feature set that this process declares, `train` the command that makes a model.
    """

    def __init__(self, shelf: Shelf[Model], version: str, train: str) -> None:
        self._shelf, self._version, self._train = shelf, version, train

    def waiting(self) -> str | None:
        """Return which model is missing: records wait in Kafka until one is promoted."""
        return self._shelf.trouble if self._shelf.empty else None

    def notice(self) -> str | None:
        """Return why the current model was refused while an earlier one scores."""
        return None if self._shelf.empty else self._shelf.trouble or None

    def current(self) -> Model | None:
        """Return the model of the feature set that this process declares."""
        return self._shelf.model(self._version)

    def each(self, batch: Batch, score: Callable[[Model, Batch], list[Result]]) -> list[Result]:
        """Return the result of each record, by `score` with the model of its feature set.

        Raise RetryableError for records of a feature set that no model serves.
        """
        places: dict[str, list[int]] = {}  # several only during an upgrade amid a backlog
        for place, row in enumerate(batch):
            places.setdefault(row.record["feature_set_version"], []).append(place)
        results: dict[int, Result] = {}
        for version, chosen in places.items():
            scored = score(self._model(version), [batch[place] for place in chosen])
            results.update(zip(chosen, scored, strict=True))
        return [results[place] for place in range(len(batch))]

    def _model(self, version: str) -> Model:
        model = self._shelf.model(version) or self._shelf.search(version)
        if model is None:
            cure = f"type `{self._train}`"
            if version != self._version:
                cure += (
                    f"; this process still declares {self._version}: "
                    "if that is out of date, restart it"
                )
            raise RetryableError(f"rows carry feature set {version}, which has no model: {cure}")
        return model

"""Judge windows with the current model and keep what was found; routes and consumer share it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from domain.alerts.episodes import Criticality
from domain.anomalies.policy import FEATURE_SET
from domain.times import iso
from orchestration.shelf.card import UnusableModelError
from orchestration.shelf.shelf import Shelf
from orchestration.shelf.store import Listed, Store
from serving.anomalies.history import History, Row
from serving.anomalies.model import Model, UnfitError


class NoModelError(Exception):
    """Raised while no model is promoted. The message says what to type."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A window to judge. `timestamp` is in milliseconds."""

    sensor_id: str
    asset_id: str | None
    timestamp: int
    criticality: Criticality
    features: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of the API's process. Methods block: call them on a thread."""

    shelf: Shelf[Model]
    store: Store
    history: History
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex

    def model(self) -> Model:
        """Return the current model. Raise NoModelError if there is none."""
        self.shelf.refresh()
        found = self.shelf.model(FEATURE_SET)
        if found is None:
            raise NoModelError(self.shelf.trouble)
        return found

    def detect(self, asked: Sequence[Asked], *, explain_all: bool) -> list[Row]:
        """Judge windows and keep the result.

        Raise NoModelError; UnfitError, which names the first window with unfit features; and
        RetryableError if the history is away: what is not kept is not answered.
        """
        model = self.model()
        found = judged(model, asked, explain_all=explain_all, now=self.history.now())
        rows = [{"detection_id": self.new_id(), **one} for one in found]
        self.history.add(rows)
        return rows

    def models(self) -> list[dict[str, Any]]:
        """Return every version on the shelf, the newest first."""
        return [self._told(one) for one in reversed(self.store.listed())]

    def current(self) -> dict[str, Any] | None:
        """Return the version in use, or None."""
        version = self.shelf.held.get(FEATURE_SET)
        return next((one for one in self.models() if one["version"] == version), None)

    def _told(self, listed: Listed) -> dict[str, Any]:
        told: dict[str, Any] = {
            "version": listed.version,
            "state": listed.state,
            "published": None if listed.published is None else iso(listed.published),
            "detector": None,
            "features": [],
            "thresholds": {},
            "sha256": {},
            "data": {},
            "trouble": listed.trouble,
        }
        try:
            card = self.store.card(listed.version)
        except UnusableModelError as error:
            return {**told, "trouble": str(error)}
        details = {name: card.details.get(name) for name in ("detector", "thresholds", "data")}
        return {**told, **details, "features": card.features, "sha256": card.files}


def judged(
    model: Model, asked: Sequence[Asked], *, explain_all: bool, now: int
) -> list[dict[str, Any]]:
    """Return what the model says of windows: rows of the history but for their ids.

    Raise UnfitError, which names the first window with unfit features.
    """
    rows = []
    for number, one in enumerate(asked):
        try:
            rows.append(model.row(one.features))
        except UnfitError as error:
            raise UnfitError(f"window {number}: {error}") from error
    verdicts = model.judge(
        np.array(rows, np.float64), [one.criticality for one in asked], explain_all=explain_all
    )
    return [
        {
            "asset_id": one.asset_id,
            "sensor_id": one.sensor_id,
            "timestamp": one.timestamp,
            "detected_at": now,
            "criticality": one.criticality,
            "score": verdict.score,
            "threshold": verdict.threshold,
            "is_anomaly": verdict.is_anomaly,
            "model_version": model.version,
            "detectors": dict(verdict.detectors),
            "features": dict(one.features),
            "explanation": [asdict(part) for part in verdict.explanation],
        }
        for one, verdict in zip(asked, verdicts, strict=True)
    ]

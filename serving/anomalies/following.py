"""Judge windows of the stream, each by its sensor's own threshold, which follows from the log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from domain.alerts.episodes import Criticality
from domain.anomalies import adaptive
from domain.anomalies.adaptive import State
from serving.anomalies.model import Contribution, Judged, Model

SENSORS = 50_000
"""Sensors remembered at most; those heard of last stay."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A window: whose, since when (ms), how critical, and its features in the model's order."""

    sensor_id: str
    window_start: int
    criticality: Criticality
    row: Sequence[float]


@dataclass(frozen=True, slots=True)
class Followed:
    """The judgement on a window; margins are log odds.

    `next_margin` is the threshold for the sensor's next window. `again` says that the window is no
    newer than one judged before: it changes no threshold.
    """

    score: float
    margin: float
    threshold: float
    next_margin: float
    again: bool
    detectors: dict[str, float]
    explanation: tuple[Contribution, ...] = ()

    @property
    def is_anomaly(self) -> bool:
        """Return whether the margin reaches the threshold; scores near 1 no longer differ."""
        return self.margin >= self.threshold


class Following:
    """The sensors' thresholds. `take_back` undoes the last batch, which may be handed on again."""

    def __init__(self, most: int = SENSORS) -> None:
        self._states: OrderedDict[str, State] = OrderedDict()
        self._most = most
        self._before: dict[str, State | None] = {}

    def __len__(self) -> int:
        return len(self._states)

    def clear(self) -> None:
        """Forget everything."""
        self._states.clear()
        self._before.clear()

    def restore(self, record: dict[str, Any]) -> None:
        """Take an AnomalyDetected of the log; of a sensor's the newest window counts."""
        known = self._states.get(record["sensor_id"])
        if known is None or known.window_start <= record["window_start"]:
            state = State(
                record["window_start"],
                record["next_margin"],
                record["model_version"],
                record["criticality"],
            )
            self._put(record["sensor_id"], state)

    def take_back(self) -> None:
        """Undo what the last batch changed."""
        for sensor, state in self._before.items():
            if state is None:
                self._states.pop(sensor, None)
            else:
                self._put(sensor, state)
        self._before.clear()

    def judge(self, model: Model, asked: Sequence[Asked]) -> list[Followed]:
        """Judge windows in their order; anomalies are explained."""
        rows = np.array([one.row for one in asked], np.float64)
        found = model.judged(rows)
        self._before.clear()
        made = [self._one(model, one, found, number) for number, one in enumerate(asked)]
        wanted = [number for number, one in enumerate(made) if one.is_anomaly]
        told = model.explained(rows[wanted], found.margins[wanted])
        explained = dict(zip(wanted, told, strict=True))
        return [
            replace(one, explanation=explained[number]) if number in explained else one
            for number, one in enumerate(made)
        ]

    def _one(self, model: Model, one: Asked, found: Judged, number: int) -> Followed:
        before = self._states.get(one.sensor_id)
        own = adaptive.margin(model.thresholds.of(one.criticality))
        margin = float(found.margins[number])
        again = before is not None and one.window_start <= before.window_start
        threshold = adaptive.threshold(
            before, own, model.version, one.criticality, one.window_start
        )
        after = threshold if again else adaptive.after(threshold, margin, own, one.criticality)
        if not again:
            self._before.setdefault(one.sensor_id, before)
            self._put(one.sensor_id, State(one.window_start, after, model.version, one.criticality))
        score = float(found.scores[number])
        return Followed(score, margin, threshold, after, again, found.of_detectors(number))

    def _put(self, sensor: str, state: State) -> None:
        self._states[sensor] = state
        self._states.move_to_end(sensor)
        if len(self._states) > self._most:
            self._states.popitem(last=False)

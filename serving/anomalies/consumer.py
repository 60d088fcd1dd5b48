"""Judge the windows of the stream by the current learned detector, and keep what was found.

    extracted-features ── current model, the sensor's own threshold ── SQL, anomalies-detected

Thresholds are rebuilt from `anomalies-detected` at each assignment of partitions. The judgement
that the history has first is the one that is told of, however often a window comes.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import orjson
from prometheus_client import CollectorRegistry

from config.errors import RetryableError
from config.settings import Settings
from domain.alerts.episodes import Criticality
from domain.anomalies import adaptive
from domain.anomalies.features import NAMES
from domain.anomalies.policy import FEATURE_SET, PRODUCT
from domain.sensors.limits import Limits
from ingestion.sensors.limits_file import LimitsFile
from ingestion.wire.unreadable import UnreadableError
from orchestration.shelf.shelf import WATCH_S, Shelf
from serving.anomalies.following import SENSORS, Asked, Followed, Following
from serving.anomalies.history import History
from serving.anomalies.kept import HistoryStore
from serving.anomalies.meter import Meter
from serving.anomalies.model import TRAIN, Model, UnfitError, accept
from serving.consumers.models import ModelInfo
from serving.consumers.product import Incoming, Newest, Output, Product, Rebuild, Result
from serving.consumers.run import run
from serving.store import Store, Write

WINDOWS, DETECTED = "extracted-features", "anomalies-detected"
LONGEST = 200
"""Characters of an id that the history has room for."""
CARRIED = ("sensor_id", "window_start", "window_end", "asset_id", "sensor_type", "location")


class Anomalies(Product):
    """Each window of each sensor, judged once. Without a model windows wait in Kafka."""

    name = PRODUCT
    topics = (WINDOWS,)
    rebuild = Rebuild(
        DETECTED, newest=Newest("sensor_id", "window_start", most=SENSORS, most_first=1)
    )

    def __init__(
        self,
        shelf: Shelf[Model],
        limits: Callable[[], Limits],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take the limits that say how critical a sensor is, and a clock in seconds."""
        self._shelf, self._limits, self._now = shelf, limits, now
        self._following = Following()
        self._last: tuple[str, int, int] | None = None  # where the last batch began
        self._meter = Meter()

    def register(self, registry: CollectorRegistry) -> None:
        """Tell which model judges, and what it finds."""
        registry.register(ModelInfo(self.name, self._shelf))
        self._meter.register(registry)

    def waiting(self) -> str | None:
        """Return which model is missing, or that the current one asks for other features."""
        model = self._shelf.model(FEATURE_SET)
        if model is None:
            return self._shelf.trouble
        if unknown := [name for name in model.features if name not in NAMES]:
            return (
                f"{model.version} asks for {', '.join(unknown)}, which windows of the stream have "
                f"not; they have {', '.join(NAMES)}: train a model on some of these"
            )
        return None

    def notice(self) -> str | None:
        """Return why the current model was refused while an earlier one judges."""
        return self._shelf.trouble or None

    def clear_state(self) -> None:
        """Forget the thresholds."""
        self._following.clear()
        self._last = None

    def restore_state(self, row: Incoming) -> None:
        """Take a sensor's newest judgement."""
        self._following.restore(row.record)
        self._meter.remembered(len(self._following))

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Judge a batch; one that is handed on again is judged as before.

        Raise UnreadableError for a window with an id that the history has no room for, or with
        values that are no 32-bit floats; RetryableError if the model has just been taken away.
        """
        model = self._shelf.model(FEATURE_SET)
        lacking = self.waiting()
        if model is None or lacking:  # it was replaced since the frame asked
            raise RetryableError(lacking or self._shelf.trouble)
        place = (batch[0].topic, batch[0].partition, batch[0].offset)
        if place == self._last:
            self._following.take_back()
        asked = [self._asked(model, row.record) for row in batch]
        found = self._following.judge(model, asked)
        self._last = place
        for one, judged in zip(asked, found, strict=True):
            self._meter.judged(one.criticality, judged)
        self._meter.remembered(len(self._following))
        now = int(self._now() * 1000)
        return [
            self._result(model, row, one.criticality, judged, now)
            for row, one, judged in zip(batch, asked, found, strict=True)
        ]

    def _asked(self, model: Model, record: dict[str, Any]) -> Asked:
        for name in ("sensor_id", "asset_id"):
            text = record[name] or ""
            if len(text) > LONGEST or "\0" in text:
                raise UnreadableError("refused", f"{name}: more than {LONGEST} characters, or NUL")
        limits = self._limits()
        criticality = limits.criticality(limits.of(record["sensor_type"]), record["asset_id"])
        known = record["features"]
        try:
            row = model.row({name: known.get(name) for name in model.features})
        except UnfitError as error:
            raise UnreadableError("refused", str(error)) from error
        return Asked(record["sensor_id"], record["window_start"], criticality, row)

    def _result(
        self, model: Model, row: Incoming, criticality: Criticality, judged: Followed, now: int
    ) -> Result:
        window = row.record
        record = {
            **{name: window[name] for name in CARRIED},
            "detection_id": detection_id(window["sensor_id"], window["window_start"]),
            "criticality": criticality,
            "is_anomaly": judged.is_anomaly,
            "score": judged.score,
            "threshold": adaptive.score(judged.threshold),
            "margin": judged.margin,
            "next_margin": judged.next_margin,
            "model_version": model.version,
            "detectors": judged.detectors,
            "features": window["features"],
            "contributions": {one.feature: one.contribution for one in judged.explanation},
            "reasons": [one.feature for one in judged.explanation if one.contribution > 0],
            "detected_at": now,
        }
        kept = {
            **{name: record[name] for name in _COLUMNS},
            "timestamp": window["window_start"],
            "explanation": [asdict(one) for one in judged.explanation],
            "record": record,
        }
        write = Write(
            record["detection_id"], window["window_start"], row.offset, orjson.dumps(kept)
        )
        output = Output(DETECTED, window["sensor_id"], record)
        return Result((write,), (output,), origin=row.timestamp)

    def restore(self, data: bytes) -> dict[str, Any] | None:
        """Return the judgement that the history has; None for one that came by the API."""
        found: dict[str, Any] | None = orjson.loads(data)
        return found

    def probe(self) -> bool:
        """Judge the usual window."""
        model = self._shelf.model(FEATURE_SET)
        if model is None:
            return False
        rows = np.array([model.usual], np.float64)
        model.explained(rows, model.judged(rows).margins)
        return True


_COLUMNS = (
    "detection_id",
    "asset_id",
    "sensor_id",
    "detected_at",
    "criticality",
    "score",
    "threshold",
    "is_anomaly",
    "model_version",
    "detectors",
    "features",
)


def detection_id(sensor_id: str, window_start: int) -> str:
    """Return the id of a window's detection, 32 characters, the same whenever it is asked for."""
    return hashlib.sha256(f"{window_start}/{sensor_id}".encode()).hexdigest()[:32]


def make(configured: Settings) -> Anomalies:
    """Return the product with its models and limits, both watched."""
    shelf = Shelf(configured.state_dir / "models" / PRODUCT, accept, TRAIN)
    shelf.watch(WATCH_S, threading.Event())
    file = LimitsFile(configured.sensors_file, time.monotonic)
    return Anomalies(shelf, lambda: file.limits)


def store(configured: Settings) -> Store:
    """Open the history."""
    return HistoryStore(History(configured.anomalies_url, configured.anomalies_kept_days))


if __name__ == "__main__":
    run(Anomalies.name, make, store)

"""A product that is retrained in no time: its model is a text with a quality in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from orchestration.retraining.checks import Wanted
from orchestration.retraining.gate import Limits
from orchestration.retraining.product import Extract, Held, Report, Window
from orchestration.shelf.card import Card
from orchestration.shelf.store import Store
from orchestration.training.frame import Frame
from orchestration.training.paired import Difference
from tests.unit.orchestration.shelves import PRODUCT

DAY_MS = 86_400_000


def silent(_name: str, _size: int | None) -> Any:
    return lambda _: None


def frame(days: int = 20, rows: int = 200, features: tuple[str, ...] = ("a", "b")) -> Frame:
    times = np.linspace(0, days * DAY_MS, rows).astype(np.int64)
    x = np.arange(rows * len(features), dtype=np.float64).reshape(rows, len(features))
    x[3, 0] = np.nan
    who = np.array([f"c{number % 7}" for number in range(rows)])
    return Frame(features, x, np.arange(rows) % 5 == 0, times, who)


@dataclass
class Toys:
    """The product; `quality` of each model that it learns is what its metrics will be.

    With `within`, a difference of two models' qualities is known so exactly.
    """

    quality: float = 0.5
    rows: Frame = field(default_factory=frame)
    snapshot: int = 1
    name: str = PRODUCT
    feature_set_version: str = "toys-1"
    least: int = 10
    read: list[Mapping[str, int]] = field(default_factory=list)
    learnt: int = 0
    within: float | None = None

    def asked(self, window: Window) -> dict[str, Any]:
        return {"source": "toys"}

    def tables(self) -> tuple[str, ...]:
        return ()

    def extract(self, window: Window, pinned: Mapping[str, int], report: Report) -> Extract:
        self.read.append(dict(pinned))
        snapshots = {"bronze.toys": pinned.get("bronze.toys", self.snapshot)}
        return Extract(self.rows, {"source": "toys", "snapshots": snapshots})

    def wanted(self) -> Wanted:
        return Wanted(rows=self.least, frauds=1, days=1)

    def limits(self) -> Limits:
        return Limits({"rows": self.least, "frauds": 1}, {"quality": 0.1})

    def learn(self, rows: Frame, origin: Mapping[str, Any], shelf: Path, report: Report) -> Card:
        self.learnt += 1
        text = f"{self.quality}"
        return Store(shelf).publish(
            f"v{text}",
            "words",
            {"words.txt": text.encode()},
            feature_set_version=self.feature_set_version,
            features=rows.features,
            details={
                "data": dict(origin),
                "libraries": {"numpy": "2"},
                "parameters": {"leaves": 3},
            },
        )

    def held_out(self, rows: Frame) -> Frame:
        return rows.part(slice(150, None))

    def metrics(self, card: Card, predictor: Any, rows: Frame) -> dict[str, float]:
        said: str = predictor  # "v0.5 says 0.5"
        return {
            "rows": float(len(rows)),
            "frauds": float(rows.y.sum()),
            "quality": float(said.rpartition(" ")[2]),
        }

    def differences(self, ours: Held, theirs: Held) -> dict[str, Difference]:
        if self.within is None:
            return {}
        found = [float(said.rpartition(" ")[2]) for said, _ in (ours, theirs)]
        point = found[0] - found[1]
        interval = (point - self.within, point + self.within)
        return {"quality": Difference(point, *interval, "toys", 7, 100)}

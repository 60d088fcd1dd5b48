"""Retrain card fraud's model: where its rows come from, how they are learnt from and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from config.settings import Settings
from domain.fraud.graph import GRAPH
from domain.fraud.policy import Thresholds
from orchestration.fraud.sources import DAY_MS, HANDBOOK_DELAY_MS, handbook
from orchestration.fraud.thresholds import aim
from orchestration.fraud.train import ROUNDS, frame_of, learn
from orchestration.retraining.checks import Wanted
from orchestration.retraining.gate import Limits
from orchestration.retraining.product import Extract, Held, Report, Window
from orchestration.shelf.card import Card
from orchestration.training import paired
from orchestration.training.frame import Frame
from orchestration.training.kernel import Kernel
from orchestration.training.metrics import measure
from orchestration.training.paired import Difference
from orchestration.training.split import TEST, by_time

COMPARED = ("average_precision", "card_precision_100")
LEAST_AP = 0.1
"""Of a model that may ever be used: a random one has the share of frauds, about 0.01."""


class Source(Protocol):
    """Where rows come from."""

    def asked(self) -> dict[str, Any]:
        """Return what identifies the source, as JSON."""
        ...

    def tables(self) -> tuple[str, ...]:
        """Return the lake's tables that it reads, if any."""
        ...

    def read(self, window: Window, pinned: Mapping[str, int], report: Report) -> Extract:
        """Return the rows of a window; see `Retrained.extract`."""
        ...


@dataclass(frozen=True, slots=True)
class File:
    """The Fraud Detection Handbook's files: history, whose features the kernel computes."""

    path: Path
    kernel: Callable[[], Kernel | None]

    def asked(self) -> dict[str, Any]:
        """Return the file's name and size."""
        return {"file": self.path.name, "bytes": self.path.stat().st_size}

    def tables(self) -> tuple[str, ...]:
        """Return none: it is no table."""
        return ()

    def read(self, window: Window, pinned: Mapping[str, int], report: Report) -> Extract:
        """Compute features over the whole file, and return the window's rows."""
        data = handbook(self.path, progress=report("reading", None))
        frame = frame_of(data, report("features", len(data.payments)), self.kernel())
        origin = {
            "source": data.source,
            "rejected": data.rejected,
            "delay_ms": data.delay_ms,
        }
        return Extract(frame.between(window.begin, window.until - data.delay_ms), origin)


@dataclass(frozen=True, slots=True)
class Fraud:
    """The product; see `Retrained`. `source` is opened by the step that extracts."""

    settings: Settings
    source: Callable[[], Source]
    name: str = "fraud"
    feature_set_version: str = GRAPH.version

    @property
    def _gap_ms(self) -> int:
        """Return within which time each verdict of the rows was given."""
        return max(HANDBOOK_DELAY_MS, self.settings.retrain_verdict_days * DAY_MS)

    def asked(self, window: Window) -> dict[str, Any]:
        """Return what identifies the source."""
        return self.source().asked()

    def tables(self) -> tuple[str, ...]:
        """Return the tables of the source."""
        return self.source().tables()

    def extract(self, window: Window, pinned: Mapping[str, int], report: Report) -> Extract:
        """Return the rows of a window, from the source."""
        return self.source().read(window, pinned, report)

    def wanted(self) -> Wanted:
        """Return what rows must have: enough for the gate in the quarter that is held out."""
        settings = self.settings
        days = 2 * self._gap_ms / DAY_MS + 1
        return Wanted(round(settings.retrain_rows / TEST), settings.retrain_frauds, days)

    def limits(self) -> Limits:
        """Return the gate's limits."""
        worse_by = dict.fromkeys(COMPARED, self.settings.retrain_worse_by)
        return Limits(
            {"rows": self.settings.retrain_rows, "frauds": self.settings.retrain_frauds},
            worse_by,
            {"average_precision": LEAST_AP},
            surely_worse=self.settings.retrain_surely_worse == "allow",
        )

    def learn(self, frame: Frame, origin: Mapping[str, Any], shelf: Path, report: Report) -> Card:
        """Boost trees on the first 60 % of the time, and publish them."""
        split = by_time(frame, self._gap_ms)
        learnt = learn(split, origin, aim=aim(self.settings), report=report("trees", ROUNDS))
        return learnt.publish(shelf)

    def held_out(self, frame: Frame) -> Frame:
        """Return the last quarter of the time."""
        return by_time(frame, self._gap_ms).test

    def metrics(self, card: Card, predictor: Any, frame: Frame) -> dict[str, float]:
        """Measure a model, with the thresholds of its card."""
        thresholds = Thresholds(**card.details["thresholds"])
        return measure(frame, predictor.predict(frame.x), thresholds.review, thresholds.block)

    def differences(self, ours: Held, theirs: Held) -> dict[str, Difference]:
        """Return the differences in average precision, by customer, and card precision, by day."""
        scores = [predictor.predict(rows.x) for predictor, rows in (ours, theirs)]
        measures = (paired.average_precision, paired.card_precision)
        return {
            name: measure(ours[1], *scores)
            for name, measure in zip(COMPARED, measures, strict=True)
        }

"""Tell Prometheus how far the newest rows, and their scores, have moved from those of training."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from config import instruments
from orchestration.shelf.distribution import Counts, Floats, Reference

WINDOW, BLOCKS = 10_000, 10
LEAST = 1000
"""Rows without which the index is noise: of 1,000 it comes to about .01 by chance alone."""
_WAITING = 256


class Drift(Collector):
    """The index of each column over the newest `window` rows of the model in use, by blocks.

    Rows are only put aside as they come, and counted many at once or when somebody asks: the path
    of a single record pays next to nothing. A batch that is repeated counts again.
    """

    def __init__(self, consumer: str, window: int = WINDOW, least: int = LEAST) -> None:
        self._consumer, self._least, self._window = consumer, least, window
        self._lock = threading.Lock()
        self._start("", None)

    def _start(self, version: str, reference: Reference | None) -> None:
        self._version, self._reference = version, reference
        self._aside: list[Floats] = []
        self._waiting = self._rows = 0
        self._blocks: deque[Counts] = deque()
        self._current: Counts | None = None

    def take(
        self, version: str, reference: Reference | None, rows: Floats, scores: Sequence[float]
    ) -> None:
        """Take rows of a model with their scores. A model without a reference is not watched."""
        with self._lock:
            if version != self._version:
                self._start(version, reference)
            if self._reference is None:
                return
            self._aside.append(np.column_stack((rows, scores)))
            self._waiting += len(rows)
            if self._waiting >= _WAITING:
                self._count()

    def _count(self) -> None:
        if self._reference is None or not self._aside:
            return
        rows = np.concatenate(self._aside)
        self._aside, self._waiting = [], 0
        counted = self._reference.count(rows)
        self._current = counted if self._current is None else self._current + counted
        self._rows += len(rows)
        if self._rows >= self._window // BLOCKS:
            self._blocks.append(self._current)
            self._current, self._rows = None, 0
            # Blocks differ in size, as batches do: the oldest goes once the others are enough.
            while sum(map(_size, self._blocks)) - _size(self._blocks[0]) >= self._window:
                self._blocks.popleft()

    def collect(self) -> Iterable[Metric]:
        """Return the index of each column once there are rows enough, and how many there are."""
        with self._lock:
            self._count()
            version, reference = self._version, self._reference
            parts = [*self._blocks, *([] if self._current is None else [self._current])]
        if reference is None or not parts:
            return
        counts: Counts = np.sum(parts, axis=0)
        rows = _size(counts)
        labels = (self._consumer, version)
        yield instruments.family("millrace_drift_window_records", {labels: rows})
        if rows < self._least:
            return
        found = zip(reference.columns, reference.psi(counts), strict=True)
        yield instruments.family(
            "millrace_drift_psi", {(*labels, column): float(value) for column, value in found}
        )


def _size(counts: Counts) -> int:
    return int(counts[0].sum())

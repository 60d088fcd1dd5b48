"""Give the consumer frame the history of detections as its store: the first judgement stays."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from serving.anomalies.history import History
from serving.store import Stored, Write


class HistoryStore:
    """Detections in SQL. A write's data is a row of the history, as JSON, with its `record`.

    What it has answered is on disk, so commits need not trail it.
    """

    def __init__(self, history: History) -> None:
        self.trail = 0.0
        self._history = history

    def apply(self, writes: Sequence[Write]) -> list[Stored | None]:
        """Keep detections in one transaction. Raise RetryableError while the database is away."""
        rows = [orjson.loads(write.data) for write in writes]
        return [
            None if row is None else Stored(write.event_time, write.sequence, orjson.dumps(row))
            for write, row in zip(writes, self._history.keep(rows) if rows else (), strict=True)
        ]

    def check(self) -> None:
        """Return at once: committed data is on disk."""

    def get(self, key: str) -> Stored | None:
        """Return nothing: detections are found by `History.find`."""
        return None

    def newest(self, index: str, count: int) -> list[bytes]:
        """Return nothing: there is no index."""
        return []

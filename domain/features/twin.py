"""Run a graph of feature sets in plain Python, row by row, as its Flink job must."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from domain.features.declaration import FeatureSet
from domain.features.graph import Graph, Row
from domain.features.reference import Rolling


class Stage:
    """Apply one feature set of a graph; every key seen stays in memory."""

    def __init__(self, declared: FeatureSet) -> None:
        self._declared, self._rolling = declared, Rolling(declared)

    def process(self, row: Mapping[str, Any]) -> Row | None:
        """Return the row with the set's features; None for an update-only row and a duplicate."""
        out = self._rolling.process(self._declared.key_of(row), row)
        return None if out is None or out[self._declared.duplicate] else out


class Stages:
    """Apply feature sets one after the other."""

    def __init__(self, declared: Iterable[FeatureSet]) -> None:
        self._stages = [Stage(one) for one in declared]

    def process(self, row: Mapping[str, Any]) -> Row | None:
        """Return the row with the features of all sets; None for a row that does not pass one."""
        current: Row | None = dict(row)
        for stage in self._stages:
            if current is None:
                return None
            current = stage.process(current)
        return current


class Twin(Stages):
    """Run the stages of a graph one after the other, and make the feature record.

    With `after`, run only the stages behind that one, as a job does that reads the log between.
    """

    def __init__(self, graph: Graph, after: FeatureSet | None = None) -> None:
        super().__init__(graph.stages[0 if after is None else graph.stages.index(after) + 1 :])
        self._graph = graph

    def process(self, row: Mapping[str, Any]) -> Row | None:
        """Return the feature record of a row, or None for a row that does not reach the end."""
        passed = super().process(row)
        return None if passed is None else self._graph.record(passed)

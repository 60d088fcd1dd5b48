"""Backfill feature vectors: the lake's log through the kernel, as the job computes them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from config.errors import UserError
from config.files import locked
from config.settings import Settings
from domain.features.declaration import Type
from domain.fraud.graph import GRAPH
from domain.fraud.pipeline import FraudPipeline
from lakehouse.catalog import catalog
from lakehouse.fraud.backfill import Filled, complete, differing, follow, reach_of, rebuild
from lakehouse.fraud.log import Event, Log, Row
from lakehouse.locks import backfills
from lakehouse.query import connect
from orchestration.training.kernel import Kernel, Plan

_PYTHON: dict[Type, Callable[[float], Any]] = {
    "BIGINT": int,
    "TIMESTAMP": int,
    "DOUBLE": float,
    "BOOLEAN": bool,
}


@dataclass(frozen=True, slots=True)
class Backfilled:
    """The outcome of a run: what was filled, and how computed and logged vectors agree."""

    filled: Filled
    compared: int = 0
    differing: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON types."""
        told = {"compared": self.compared, "differing": list(self.differing)}
        return {**self.filled.as_dict(), **told}


def backfill(
    settings: Settings,
    start: int | None,
    kernel: Kernel | None,
    done: Callable[[int], None] = lambda _: None,
) -> Backfilled:
    """Compute the vectors of payments from event time `start` (ms) on, then take logged ones.

    Without `start` only take what the job has logged since. Without a kernel the reference engine
    computes, to the same bits.
    """
    lake = catalog(settings)
    # What is computed of rows must not come back into the table when they have been forgotten.
    with locked(backfills(settings)), connect(settings.lake_memory, settings.lake_spill) as con:
        last = complete(lake)
        history = Log(con, lake)
        logged = reach_of(history, settings.event_ahead_ms, logged=True)
        if start is None:
            return Backfilled(follow(lake, history, logged, last))
        whole = reach_of(history, settings.event_ahead_ms, logged=False)
        engine = by_reference if kernel is None else lambda chunks: by_kernel(kernel, chunks)
        filled = rebuild(lake, history, whole, engine, start=start, seam=last, done=done)
        compared, found = differing(con, lake, history, logged)
        return Backfilled(filled, compared, tuple(found))


def by_reference(chunks: Iterable[list[Event]]) -> Iterator[list[Row]]:
    """Compute by the specification."""
    pipeline = FraudPipeline()
    for chunk in chunks:
        made = (pipeline.process(one.row()) for one in chunk)
        yield [one for one in made if one is not None]


def by_kernel(kernel: Kernel, chunks: Iterable[list[Event]]) -> Iterator[list[Row]]:
    """Compute by the code that the job runs. Raise UserError for a feature that is a text."""
    types = _computed()
    plan = Plan(GRAPH.stages, tuple(types))
    pending: deque[list[Row]] = deque()

    def batches() -> Iterator[pa.RecordBatch]:
        for chunk in chunks:
            rows = [one.row() for one in chunk]
            pending.append(rows)
            yield pa.RecordBatch.from_pylist(rows, plan.schema())

    for answer in kernel.run(plan, batches()):
        rows = pending.popleft()
        found = []
        for place, values in zip(answer.places.tolist(), answer.values.tolist(), strict=True):
            computed = {
                name: None if math.isnan(value) else _PYTHON[types[name]](value)
                for name, value in zip(types, values, strict=True)
            }
            found.append(GRAPH.record(rows[place] | computed))
        yield found


def _computed() -> dict[str, Type]:
    """Return the columns that the feature sets compute, but marks of what goes no further."""
    types = {
        name: kind
        for one in GRAPH.stages
        for name, kind in one.columns().items()
        if name != one.duplicate
    }
    if texts := [name for name, kind in types.items() if kind == "STRING"]:
        raise UserError(f"the kernel returns no text, and {', '.join(texts)} is one")
    return types

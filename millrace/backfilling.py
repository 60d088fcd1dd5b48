"""Backfill feature vectors: the lake's log through the kernel, as the job computes them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from config.clock import now_ms
from config.errors import RetryableError, UserError
from config.files import locked
from config.settings import Settings
from config.topics import topics
from domain.features.declaration import Type
from domain.fraud.graph import GRAPH
from domain.fraud.pipeline import FraudPipeline
from domain.times import iso
from ingestion.kafka.copies import Record
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from lakehouse import handovers
from lakehouse.catalog import catalog
from lakehouse.fraud.backfill import Filled, complete, differing, follow, reach_of, rebuild
from lakehouse.fraud.log import TOPIC, Event, Log, Row
from lakehouse.fraud.verification import begin
from lakehouse.history import records
from lakehouse.locks import backfills
from lakehouse.query import connect
from millrace.flink.handover import Handed, Handover
from orchestration.training.kernel import Kernel, Plan

JOB = "fraud_features"
SEVERAL = "transactions has several partitions: the lake lacks the order that terminals saw"
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


def hand_over(
    settings: Settings, start: int, report: Callable[[str], None] = lambda _: None
) -> Handed:
    """Give the running job the state that the log from `begin(start)` on makes; let it go on.

    `start` is the event time (ms) from which on windows are whole. Raise UserError if the lake does
    not have all that they cover.
    """
    lake, known_from = catalog(settings), begin(start)
    with (
        locked(backfills(settings)),
        connect(settings.lake_memory, settings.lake_spill) as con,
        Registry(settings.registry_url) as registry,
    ):
        last = complete(lake)
        _refuse_a_short_history(Log(con, lake), settings.event_ahead_ms, start, last)
        codec = Codec(registry)

        def history(topic: str, end: Mapping[int, int]) -> Iterator[Record]:
            return records(con, lake, codec, topics()[topic], start=known_from, end=end)

        held = {TOPIC: {0: last + 1}}
        handed = Handover(settings, JOB, (TOPIC,), held, report).run(history)
        handovers.keep(lake, GRAPH.version, handed.seam[TOPIC], known_from, now_ms())
    return handed


def _refuse_a_short_history(history: Log, ahead_ms: int, start: int, last: int) -> None:
    """Raise UserError unless the lake has all that windows cover now."""
    if history.several():
        raise UserError(SEVERAL)
    newest = history.newest()
    if newest is None:
        raise UserError("the lake has no payments to begin with")
    if start > newest:
        raise UserError(f"--from is later than the newest payment, {iso(newest)}")
    blind = reach_of(history, ahead_ms, logged=False).blind(0, last)
    if blind is not None and begin(start) <= blind:
        raise UserError(
            f"windows from {iso(start)} on reach back to {iso(begin(start))}, and the lake has all "
            f"without a gap from {iso(blind)} on only"
        )


def await_lake(settings: Settings, seam: Mapping[int, int], within_s: float) -> None:
    """Wait until bronze has all of the log before the seam. Raise RetryableError if it has not."""
    deadline = time.monotonic() + within_s
    while complete(catalog(settings)) < seam.get(0, 0) - 1:
        if time.monotonic() > deadline:
            raise RetryableError(
                f"the lake has not all before place {seam.get(0, 0)} yet: "
                "type it again without --hand-over"
            )
        time.sleep(1.0)


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

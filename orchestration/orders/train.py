"""Train the model of order lines on simulated fraud: frame, split, boosting, publication.

No public data set has orders with stolen accounts, card testing and refund abuse beside the clicks
around them, so the truth comes from a simulator (ingestion/shop/order_simulator.py). Making the
model current is a step of its own (`millrace model promote`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from domain.features.graph import Place, Row
from domain.features.twin import Twin
from domain.fraud.policy import USUAL, Costs, Targets
from domain.orders.features import EVENT, GRAPH, ORDERS
from ingestion.shop.order_simulator import Happened
from orchestration.fraud.train import Trained, learn
from orchestration.training.frame import (
    ROWS_A_CHUNK,
    Chunk,
    Frame,
    Matrix,
    Progress,
    by_kernel,
    by_reference,
)
from orchestration.training.kernel import Kernel, Plan
from orchestration.training.split import by_time

DELAY_MS = 3 * 86_400_000
"""How long after an order its verdict is known: a chargeback takes days at least."""
_FIELDS = (*EVENT.fields, "transaction_id", "price", "quantity")


def rows_of(happened: Iterable[Happened], first: int = 0) -> Iterator[Row]:
    """Yield each event as `rolling` takes it, placed as in a log of one partition from `first`."""
    for offset, one in enumerate(happened, first):
        record = {name: getattr(one.event, name) for name in _FIELDS}
        yield GRAPH.row(EVENT.record, record, Place(offset=offset))


def computed(
    happened: Sequence[Happened], progress: Progress = lambda _: None, kernel: Kernel | None = None
) -> Matrix:
    """Return what the model reads of each order line, as numbers, with its index in `happened`.

    The kernel computes it; without one the reference engine does, to the same bits.
    """
    if kernel is None:
        twin = Twin(GRAPH)
        told = (out for row in rows_of(happened) if (out := twin.process(row)) is not None)
        return by_reference(told, ORDERS.model, np.arange(len(happened)), progress)
    plan = Plan.of(ORDERS)
    lines = sum(one.event.event_type == "transaction" for one in happened)
    return by_kernel(kernel, plan, _chunks(happened, plan.schema()), lines, progress)


def _chunks(happened: Sequence[Happened], schema: pa.Schema) -> Iterator[Chunk]:
    for start in range(0, len(happened), ROWS_A_CHUNK):
        part = happened[start : start + ROWS_A_CHUNK]
        yield Chunk(
            pa.RecordBatch.from_pylist(list(rows_of(part, start)), schema=schema),
            np.arange(start, start + len(part), dtype=np.int64),
        )


def frame_of(happened: Sequence[Happened], found: Matrix) -> Frame:
    """Return the numbers with the time, visitor and truth of each order line."""
    lines = [happened[place] for place in found.places]
    return Frame(
        ORDERS.model,
        found.x,
        np.array([one.fraud is not None for one in lines]),
        np.array([one.event.event_time for one in lines], dtype=np.int64),
        np.array([one.event.user_id for one in lines], dtype=np.str_),
    )


def train(
    happened: Sequence[Happened],
    source: str,
    folder: Path,
    *,
    seed: int = 7,
    aim: Targets | Costs = USUAL,
    progress: Progress = lambda _: None,
    report: Callable[[int], None] = lambda _: None,
    kernel: Kernel | None = None,
) -> Trained:
    """Train on a shop's events, measure on its last part, and publish in `folder`.

    Deterministic: the same events, seed and aim give the same files. Raise UserError if the
    events do not allow it.
    """
    frame = frame_of(happened, computed(happened, progress, kernel))
    origin = {
        "source": source,
        "rows": len(frame),
        "digest": frame.digest(),
        "delay_ms": DELAY_MS,
        "frauds": _frauds(happened),
    }
    split = by_time(frame, DELAY_MS)
    learnt = learn(
        split,
        origin,
        seed=seed,
        aim=aim,
        report=report,
        feature_set_version=GRAPH.version,
    )
    card = learnt.publish(folder)
    return Trained(folder / card.version, card)


def _frauds(happened: Sequence[Happened]) -> Mapping[str, Any]:
    return dict(sorted(Counter(one.fraud for one in happened if one.fraud).items()))

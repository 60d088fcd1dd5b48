"""Runs of `rolling` through the kernel in batch: what a training frame would hold of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from config.settings import settings
from millrace.stack import batch
from millrace.stack.layout import Layout
from orchestration.training.kernel import Kernel, Plan
from tests.integration.rolling_runs import Run


def kernel(workers: int = 2) -> Kernel:
    return Kernel(batch.command(Layout.of(settings())), workers)


def computed(run: Run, plan: Plan, workers: int, size: int) -> dict[int, list[int]]:
    """The bits of a plan's outputs for each row that is emitted, in chunks of `size` rows."""
    found: dict[int, list[int]] = {}
    answers = kernel(workers).run(plan, _chunks(run.rows, plan.schema(), size))
    for at, answer in enumerate(answers):
        for place, values in zip(answer.places, answer.values, strict=True):
            found[at * size + int(place)] = values.view(np.int64).tolist()
    return found


def _chunks(
    rows: Sequence[dict[str, Any]], schema: pa.Schema, size: int
) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(rows), size):
        taken = [{name: row[name] for name in schema.names} for row in rows[start : start + size]]
        yield pa.RecordBatch.from_pylist(taken, schema)


def bits(value: Any) -> int:
    """The bits of a number as the kernel answers it: NaN is NULL, 1 is true."""
    return int(np.float64(np.nan if value is None else value).view(np.int64))

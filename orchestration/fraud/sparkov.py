"""Measure the fraud model on payments with merchants, categories and places.

The features are those of domain/fraud/sparkov.py, computed as training computes the others: by the
kernel, or to the same bits by the reference engine. The parts follow one another in time, with the
verdicts' delay between them (orchestration/training/split.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from domain.features.twin import Twin
from domain.fraud.order import PAYMENT, VERDICT
from domain.fraud.sparkov import GRAPH, ROWS, TABLE
from domain.times import iso
from orchestration.fraud.operating import Decided, points
from orchestration.fraud.train import fit
from orchestration.training.columns import each
from orchestration.training.frame import (
    ROWS_A_CHUNK,
    Chunk,
    Floats,
    Frame,
    Progress,
    by_kernel,
    by_reference,
)
from orchestration.training.kernel import Kernel, Plan
from orchestration.training.metrics import ranked, reliability
from orchestration.training.split import Split, by_time

MILLRACE, LOGISTIC = "millrace", "logistic-regression"
PLAIN = ("amount", "hour", "is_weekend", "distance_km")
"""What the logistic regression reads beside the category: columns of the payment alone."""


def stream(payments: pa.Table, delay_ms: int, schema: pa.Schema) -> Iterator[Chunk]:
    """Yield payments and verdicts in order of time, the verdict first at equal times.

    `payments` are those of ingestion/fraud/sparkov.py; verdicts come `delay_ms` after them.
    """
    count, time = len(payments), payments["event_time"].to_numpy()
    given = {name: payments[name].combine_chunks() for name in payments.column_names}
    known = given | {row.name: each(row.python, given, count) for row in ROWS}
    table = pa.table({name: pa.array(values) for name, values in known.items()})
    kinds = np.repeat([VERDICT, PAYMENT], count)
    order = np.lexsort((kinds, np.concatenate([time + delay_ms, time])))
    for start in range(0, 2 * count, ROWS_A_CHUNK):
        part = order[start : start + ROWS_A_CHUNK]
        paid, sequence = part >= count, part % max(count, 1)
        taken = table.take(pa.array(sequence))
        yield Chunk(_rows(taken, paid, sequence, delay_ms, schema), sequence)


def _rows(
    taken: pa.Table,
    paid: npt.NDArray[np.bool_],
    sequence: npt.NDArray[np.int64],
    delay_ms: int,
    schema: pa.Schema,
) -> pa.RecordBatch:
    """Return rows of the graph's inputs: NULL is what a verdict, or a payment, lacks."""
    mark, identity = pa.array(paid), taken["transaction_id"]
    made: dict[str, Any] = {
        **{name: taken[name] for name in ("transaction_id", "card", "merchant", "category")},
        "kind": pc.if_else(mark, "transaction", "label"),
        "event_id": pc.if_else(mark, identity, pc.binary_join_element_wise("label/", identity, "")),
        "event_time": taken["event_time"].to_numpy() + np.where(paid, 0, delay_ms),
        "is_fraud": pc.if_else(mark, pa.scalar(None, pa.bool_()), taken["is_fraud"]),
        "sequence": sequence,
    }
    for name in schema.names:
        if name not in made:
            made[name] = pc.if_else(mark, taken[name], pa.scalar(None, taken[name].type))
    arrays = [
        one.combine_chunks() if isinstance(one, pa.ChunkedArray) else pa.array(one)
        for one in (made[name] for name in schema.names)
    ]
    casts = [one.cast(field.type) for one, field in zip(arrays, schema, strict=True)]
    return pa.RecordBatch.from_arrays(casts, schema=schema)


def frame_of(
    payments: pa.Table, delay_ms: int, kernel: Kernel | None, progress: Progress = lambda _: None
) -> Frame:
    """Return the features of all payments with verdicts; `customer` is the card."""
    plan, count = Plan.of(TABLE), len(payments)
    chunks = stream(payments, delay_ms, plan.schema())
    if kernel is None:
        twin = Twin(GRAPH)
        blank = dict.fromkeys(GRAPH.inputs)
        rows = (twin.process(blank | row) for one in chunks for row in one.rows.to_pylist())
        emitted = (row for row in rows if row is not None)
        found = by_reference(emitted, TABLE.model, np.arange(count), progress)
    else:
        found = by_kernel(kernel, plan, chunks, count, progress)
    at = found.places
    return Frame(
        TABLE.model,
        found.x,
        payments["is_fraud"].to_numpy()[at],
        payments["event_time"].to_numpy()[at],
        np.array(payments["card"].to_pylist(), dtype=np.str_)[at],
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """The figures of each method on the test part."""

    payments: int
    rejected: int
    split: Split
    methods: dict[str, dict[str, Any]]

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        parts = {name: getattr(self.split, name) for name in ("train", "validation", "test")}
        spans = {
            name: {
                "from": iso(int(part.event_time[0])),
                "to": iso(int(part.event_time[-1])),
                "payments": len(part),
                "frauds": int(part.y.sum()),
            }
            for name, part in parts.items()
        }
        return {
            "payments": self.payments,
            "rejected": self.rejected,
            "split": spans,
            "methods": self.methods,
        }


def compare(
    payments: pa.Table,
    rejected: int,
    delay_ms: int,
    *,
    seed: int = 7,
    kernel: Kernel | None = None,
    progress: Progress = lambda _: None,
    report: Progress = lambda _: None,
) -> Compared:
    """Measure the model of the declared features beside a logistic regression on the row alone.

    Thresholds are chosen on the validation part. Deterministic. Raise UserError for too few data.
    """
    frame = frame_of(payments, delay_ms, kernel, progress)
    split = by_time(frame, delay_ms)
    booster = fit(split, seed, report)
    category = np.array(payments["category"].to_pylist(), dtype=np.str_)
    scores = {
        MILLRACE: [
            np.asarray(booster.predict(part.x, num_threads=1), dtype=np.float64)
            for part in (split.validation, split.test)
        ],
        LOGISTIC: _logistic(frame, category, delay_ms, seed),
    }
    methods = {name: _measured(split, *found) for name, found in scores.items()}
    return Compared(len(payments), rejected, split, methods)


def _measured(split: Split, validation: Floats, test: Floats) -> dict[str, Any]:
    thresholds = points(validation, split.validation.y, test, split.test.y)
    return {
        **ranked(split.test, test),
        "thresholds": thresholds,
        "points": {
            name: Decided.of(split.test, test >= least).document()
            for name, least in thresholds.items()
        },
        "calibration": reliability(test, split.test.y),
    }


def _logistic(
    frame: Frame, category: npt.NDArray[np.str_], delay_ms: int, seed: int
) -> list[Floats]:
    """Return the scores of validation and test by a regression on `PLAIN` and the category."""
    names = np.unique(category)
    at = [frame.features.index(name) for name in PLAIN]
    x = np.column_stack([frame.x[:, at], category[:, None] == names])
    split = by_time(replace(frame, features=(*PLAIN, *names.tolist()), x=x), delay_ms)
    model = make_pipeline(
        StandardScaler(), LogisticRegression(random_state=seed, max_iter=1000)
    ).fit(split.train.x, split.train.y)
    return [
        np.asarray(model.predict_proba(part.x)[:, 1], dtype=np.float64)
        for part in (split.validation, split.test)
    ]

"""Measure the fraud model by the Fraud Detection Handbook's protocol, beside the Handbook's own.

What is measured, and on which payments, orchestration/fraud/protocol.py says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from domain.times import iso
from orchestration.fraud import published
from orchestration.fraud.bound import knowable
from orchestration.fraud.protocol import FOLDS, Parts, Rows, folds, parts
from orchestration.fraud.ranking import fit
from orchestration.fraud.train import Data, computed, framed
from orchestration.training.frame import Floats, Frame, Progress
from orchestration.training.kernel import Kernel
from orchestration.training.metrics import ranked

MILLRACE = "millrace"
BOUND = "bound"
FIGURES = ("roc_auc", "average_precision", "card_precision_100")
TABLES = {
    "week": "trained on the seven days alone",
    "known": "trained on all payments until the end of the seven days",
}
Fit = Callable[[Frame], Callable[[Floats], Floats]]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The figures of each method, by table: `folds` in order, then their `mean`."""

    source: str
    payments: int
    folds: tuple[Parts, ...]
    tables: dict[str, dict[str, dict[str, Any]]]
    bound: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON has them."""
        return {
            "source": self.source,
            "payments": self.payments,
            "folds": [_said(one) for one in self.folds],
            "tables": self.tables,
            "bound": self.bound,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """Payments with each kind of features, row for row."""

    ours: Frame
    handbook: Frame
    places: npt.NDArray[np.int64]
    """The index of each row among the payments that were read."""

    def rows(self) -> Rows:
        """Return what the protocol cuts by."""
        return Rows(self.ours.event_time, self.ours.customer, self.ours.y)


def table_of(data: Data, progress: Progress, kernel: Kernel | None) -> Table:
    """Compute the features of all payments; both engines drop the same repeated ones."""
    payments = data.payments
    found = computed(data, progress, kernel)
    ours = framed(data, found)
    y, time = payments.numbers("is_fraud"), payments.numbers("event_time")
    customer, terminal = payments.texts("customer_id"), payments.texts("terminal_id")
    amount = payments.numbers("amount")
    x = published.features(time, customer, terminal, amount, y)
    handbook = replace(ours, features=published.NAMES, x=x[found.places])
    return Table(ours, handbook, found.places)


def evaluate(
    data: Data,
    starts: Sequence[int] = (),
    *,
    seed: int = 7,
    scenario: npt.NDArray[np.int64] | None = None,
    kernel: Kernel | None = None,
    progress: Progress = lambda _: None,
    report: Progress = lambda _: None,
) -> Evaluated:
    """Measure every method on every fold; `starts` are the folds' first moments (ms).

    `scenario` (one number a payment, as the simulator gives it) adds the bound. `progress` is told
    the payments whose features are computed, `report` the models that are measured. Deterministic.
    """
    table = table_of(data, progress, kernel)
    rows = table.rows()
    cut = tuple(parts(fold, rows) for fold in folds(rows.time, starts))
    fits = {
        MILLRACE: (table.ours, _declared(seed)),
        **{name: (table.handbook, _published(one)) for name, one in published.models().items()},
    }
    done = 0
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for learnt in TABLES:
        tables[learnt] = {}
        for name, (frame, fitter) in fits.items():
            if learnt == "known" and name in published.SLOW:
                continue
            figures = []
            for one in cut:
                figures.append(_measured(frame, getattr(one, _LEARNT[learnt]), one.test, fitter))
                report(done := done + 1)
            tables[learnt][name] = _mean(figures)
    bound = None
    if scenario is not None:
        perfect = knowable(data, scenario)[table.places].astype(np.float64)
        bound = _mean([ranked(table.ours.part(o.test), perfect[o.test]) for o in cut])
    return Evaluated(data.source, len(data.payments), cut, tables, bound)


_LEARNT = {"week": "train", "known": "known"}


def models_to_measure(starts: int) -> int:
    """Return how many models `evaluate` fits at most for so many folds that are named."""
    return len(TABLES) * (1 + len(published.models())) * (starts or FOLDS)


def _declared(seed: int) -> Fit:
    return lambda frame: fit(frame, seed)


def _published(fitter: Callable[[Floats, npt.NDArray[np.bool_]], Any]) -> Fit:
    return lambda frame: fitter(frame.x, frame.y)


def _measured(
    frame: Frame, train: npt.NDArray[np.int64], test: npt.NDArray[np.int64], fitter: Fit
) -> dict[str, float]:
    score = fitter(frame.part(train))
    tested = frame.part(test)
    return ranked(tested, score(tested.x))


def _mean(figures: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    mean = {name: float(np.mean([one[name] for one in figures])) for name in FIGURES}
    return {"folds": [dict(one) for one in figures], "mean": mean}


def _said(one: Parts) -> dict[str, Any]:
    fold = one.fold
    return {
        "train_start": iso(fold.start),
        "train_end": iso(fold.train_end),
        "test_start": iso(fold.test_start),
        "test_end": iso(fold.test_end),
        "train_payments": len(one.train),
        "known_payments": len(one.known),
        "test_payments": len(one.test),
        "dropped_payments": one.dropped,
    }

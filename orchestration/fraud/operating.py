"""Measure decisions at thresholds that were chosen on earlier payments, by payment and by card.

Ranking metrics need no threshold; a payments team works at one. For each fold of
orchestration/fraud/protocol.py a model learns from all payments until seven days before the fold's
training week, the thresholds are chosen on that week, and both are measured on the test week.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from config.errors import UserError
from domain.fraud.policy import USUAL, Targets
from domain.times import iso
from orchestration.fraud import train
from orchestration.fraud.protocol import DELAY_DAYS, Fold, Parts, Rows, folds, parts
from orchestration.fraud.ranking import fit
from orchestration.fraud.thresholds import choose
from orchestration.fraud.train import Data
from orchestration.training.frame import Floats, Frame, Progress
from orchestration.training.kernel import Kernel
from orchestration.training.metrics import DAY_MS, reliability

Ints = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]
PRECISION = 0.94
"""The precision that the project was set, at a recall of .89."""
POINTS = {
    "block": f"blocked, for a precision of {USUAL.block_precision:g}",
    "review": "blocked or reviewed",
    "set": f"blocked, for a precision of {PRECISION:g}",
    "hindsight": f"precision of {PRECISION:g} on the test week itself",
}
BOUND = "bound"


@dataclass(frozen=True, slots=True)
class Counted:
    """How many were flagged, how many are fraud, and how many are both."""

    flagged: int = 0
    frauds: int = 0
    hits: int = 0

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            self.flagged + other.flagged, self.frauds + other.frauds, self.hits + other.hits
        )

    @property
    def precision(self) -> float | None:
        """Return the share of fraud in what was flagged; None if nothing was."""
        return self.hits / self.flagged if self.flagged else None

    @property
    def recall(self) -> float | None:
        """Return the share of fraud that was flagged; None if there is none."""
        return self.hits / self.frauds if self.frauds else None

    def document(self) -> dict[str, Any]:
        """Return counts and shares as JSON has them."""
        counts = {"flagged": self.flagged, "frauds": self.frauds, "hits": self.hits}
        return {"precision": self.precision, "recall": self.recall, **counts}


@dataclass(frozen=True, slots=True)
class Decided:
    """A set of decisions, counted by payment and by card."""

    payment: Counted = Counted()
    card: Counted = Counted()

    @classmethod
    def of(cls, tested: Frame, flagged: Marks) -> Decided:
        """Count the decisions on the payments of `tested`, of which `flagged` were stopped."""
        return cls(by_payment(tested.y, flagged), by_card(tested, flagged))

    def __add__(self, other: Decided) -> Decided:
        return Decided(self.payment + other.payment, self.card + other.card)

    def document(self) -> dict[str, Any]:
        """Return both counts as JSON has them."""
        return {"payment": self.payment.document(), "card": self.card.document()}


@dataclass(frozen=True, slots=True)
class Operated:
    """What was decided at each of `POINTS`, and by the bound, in each fold.

    `calibration` is the reliability of all test weeks' scores.
    """

    source: str
    payments: int
    delay_ms: int
    folds: tuple[Parts, ...]
    thresholds: tuple[dict[str, float], ...]
    decided: tuple[dict[str, Decided], ...]
    calibration: dict[str, Any]

    def total(self) -> dict[str, Decided]:
        """Return the counts of all folds together, by point."""
        names = self.decided[0]
        return {name: sum((one[name] for one in self.decided), Decided()) for name in names}

    def document(self) -> dict[str, Any]:
        """Return everything as JSON has it."""
        return {
            "source": self.source,
            "payments": self.payments,
            "label_delay_days": self.delay_ms / DAY_MS,
            "targets": {"block": USUAL.block_precision, "set": PRECISION},
            "folds": [
                {
                    "test_start": iso(cut.fold.test_start),
                    "test_end": iso(cut.fold.test_end),
                    "thresholds": thresholds,
                    "points": _documents(decided),
                }
                for cut, thresholds, decided in zip(
                    self.folds, self.thresholds, self.decided, strict=True
                )
            ],
            "points": _documents(self.total()),
            "calibration": self.calibration,
        }


def operate(
    data: Data,
    starts: Sequence[int] = (),
    *,
    seed: int = 7,
    knowable: Marks | None = None,
    kernel: Kernel | None = None,
    progress: Progress = lambda _: None,
    report: Progress = lambda _: None,
) -> Operated:
    """Measure the model at each of `POINTS`; `starts` are the folds' first moments.

    `knowable` marks the payments that could be called fraud when they were made, and adds the
    bound. Deterministic. Raise UserError for folds that the data do not allow.
    """
    frame, places = framed(data, progress, kernel)
    rows = Rows(frame.event_time, frame.customer, frame.y)
    cuts = tuple(parts(fold, rows) for fold in folds(rows.time, starts))
    thresholds, decided, tests = [], [], []
    for done, cut in enumerate(cuts, start=1):
        learnt, tested = frame.part(earlier(cut.fold, rows)), frame.part(cut.test)
        score = fit(learnt, seed)
        chosen, scores = frame.part(cut.train), score(tested.x)
        thresholds.append(points(score(chosen.x), chosen.y, scores, tested.y))
        tests.append((scores, tested.y))
        marks = {name: scores >= least for name, least in thresholds[-1].items()}
        if knowable is not None:
            marks[BOUND] = knowable[places][cut.test]
        decided.append({name: Decided.of(tested, flagged) for name, flagged in marks.items()})
        report(done)
    every, truth = (np.concatenate(one) for one in zip(*tests, strict=True))
    return Operated(
        data.source,
        len(data.payments),
        data.delay_ms,
        cuts,
        tuple(thresholds),
        tuple(decided),
        reliability(every, truth),
    )


def framed(data: Data, progress: Progress, kernel: Kernel | None) -> tuple[Frame, Ints]:
    """Return what the model reads of all payments, and each row's payment."""
    found = train.computed(data, progress, kernel)
    return train.framed(data, found), found.places


def earlier(fold: Fold, rows: Rows) -> Ints:
    """Return the places of the payments that the model of a fold learns from.

    Raise UserError if none of them is fraud, or all are.
    """
    end = fold.start - DELAY_DAYS * DAY_MS
    places = rows.between(min(int(rows.time[0]), end), end)
    if not 0 < int(rows.fraud[places].sum()) < len(places):
        raise UserError(
            f"thresholds are chosen by a model from before {iso(end)}, and there are "
            f"{int(rows.fraud[places].sum())} frauds among {len(places)} payments until then: "
            "name later folds by --train-start"
        )
    return places


def points(scores: Floats, y: Marks, tested: Floats, truth: Marks) -> dict[str, float]:
    """Return the threshold of each of `POINTS`: all but the last are chosen on `scores` and `y`."""
    usual = choose(scores, y, USUAL)
    strict = Targets(block_precision=PRECISION)
    return {
        "block": usual.block,
        "review": usual.review,
        "set": choose(scores, y, strict).block,
        "hindsight": choose(tested, truth, strict).block,
    }


def by_payment(fraud: Marks, flagged: Marks) -> Counted:
    """Count payments."""
    return Counted(int(flagged.sum()), int(fraud.sum()), int((fraud & flagged).sum()))


def by_card(frame: Frame, flagged: Marks) -> Counted:
    """Count cards by day: one is flagged, or fraud, if any of its payments of the day is.

    A card that was found is not counted on later days. Fraud Detection Handbook, chapter 4.4, "Card
    Precision top-k", with a threshold in place of the day's best k.
    """
    days, total = frame.event_time // DAY_MS, Counted()
    found = np.empty(0, frame.customer.dtype)
    for day in np.unique(days):
        today = np.flatnonzero(days == day)
        today = today[~np.isin(frame.customer[today], found)]
        cards, code = np.unique(frame.customer[today], return_inverse=True)
        struck = np.bincount(code, frame.y[today], len(cards)) > 0
        called = np.bincount(code, flagged[today], len(cards)) > 0
        total += by_payment(struck, called)
        found = np.union1d(found, cards[struck & called])
    return total


def _documents(decided: Mapping[str, Decided]) -> dict[str, Any]:
    return {name: one.document() for name, one in decided.items()}

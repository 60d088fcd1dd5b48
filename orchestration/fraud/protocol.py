"""Cut payments into the folds of the Fraud Detection Handbook's protocol.

A fold trains on seven days, leaves out the seven in which the verdicts on them come in, and tests
on the seven after that. Cards that are known to be compromised are dropped from the test: those
with a fraud in the training week, and, on each day of the test, those with one on a day whose
verdicts have come in since. Le Borgne et al., chapter 5.2, `get_train_test_set`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from config.errors import UserError
from orchestration.training.metrics import DAY_MS

TRAIN_DAYS = DELAY_DAYS = TEST_DAYS = 7
FOLD_DAYS = TRAIN_DAYS + DELAY_DAYS + TEST_DAYS
FOLDS = 4
"""So many are measured where nobody says which."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fold:
    """Three weeks; `start` is the first moment of training, midnight UTC in ms."""

    start: int

    def __post_init__(self) -> None:
        """Raise UserError for a start that is not midnight UTC."""
        if self.start % DAY_MS:
            raise UserError("a fold starts at midnight UTC: give a date, as 2018-07-25")

    @property
    def train_end(self) -> int:
        """Return the end of training, exclusive."""
        return self.start + TRAIN_DAYS * DAY_MS

    @property
    def test_start(self) -> int:
        """Return the first moment of the test."""
        return self.train_end + DELAY_DAYS * DAY_MS

    @property
    def test_end(self) -> int:
        """Return the end of the test, exclusive."""
        return self.start + FOLD_DAYS * DAY_MS


@dataclass(frozen=True, slots=True)
class Rows:
    """Payments in order of time: when (ms), whose (any code of the card), and the verdict."""

    time: Ints
    card: npt.NDArray[Any]
    fraud: npt.NDArray[np.bool_]

    def between(self, begin: int, end: int) -> Ints:
        """Return the places of the payments from `begin` until before `end`."""
        first, last = np.searchsorted(self.time, [begin, end])
        return np.arange(first, last)

    def struck(self, places: Ints) -> npt.NDArray[Any]:
        """Return the cards with a fraud among the payments at `places`."""
        return np.unique(self.card[places][self.fraud[places]])


@dataclass(frozen=True, slots=True)
class Parts:
    """The places of a fold's payments among all; `known` are all up to the end of training.

    The verdicts on these, as those on the training week, have come in when the test begins.
    """

    fold: Fold
    train: Ints
    known: Ints
    test: Ints
    dropped: int
    """Number of payments of the test week that are left out, their cards being known."""


def folds(time: Ints, starts: Sequence[int] = ()) -> tuple[Fold, ...]:
    """Return the folds that start at `starts` (ms), or the last four that follow week on week.

    Raise UserError if the payments do not last until the end of one, or begin after its start.
    """
    if not len(time):
        raise UserError("there are no payments to evaluate on")
    first, end = int(time[0]), (int(time[-1]) // DAY_MS + 1) * DAY_MS
    if not starts:
        last = end - FOLD_DAYS * DAY_MS
        weeks = [last - back * TEST_DAYS * DAY_MS for back in reversed(range(FOLDS))]
        starts = [start for start in weeks if start >= first // DAY_MS * DAY_MS]
        if not starts:
            days = (end - first) / DAY_MS
            raise UserError(f"{days:.0f} days of payments: a fold takes {FOLD_DAYS}")
    found = tuple(Fold(start) for start in starts)
    for fold in found:
        if fold.start < first // DAY_MS * DAY_MS or fold.test_end > end:
            raise UserError(
                f"the fold from {_date(fold.start)} to {_date(fold.test_end - 1)} is not in the "
                f"data, which go from {_date(first)} to {_date(end - 1)}"
            )
    return found


def parts(fold: Fold, rows: Rows) -> Parts:
    """Return the payments of a fold. Raise UserError if one of its weeks has no fraud, or only."""
    train = rows.between(fold.start, fold.train_end)
    test = np.concatenate([np.empty(0, np.int64), *_tested(fold, rows)])
    for name, places in (("training", train), ("test", test)):
        if not 0 < int(rows.fraud[places].sum()) < len(places):
            raise UserError(
                f"the {name} week of the fold from {_date(fold.start)} has "
                f"{int(rows.fraud[places].sum())} frauds among {len(places)} payments"
            )
    known = rows.between(int(rows.time[0]), fold.train_end)
    week = len(rows.between(fold.test_start, fold.test_end))
    return Parts(fold, train, known, test, week - len(test))


def _tested(fold: Fold, rows: Rows) -> Iterator[Ints]:
    """Yield the payments of each day of the test whose cards are not known by then."""
    known = rows.struck(rows.between(fold.start, fold.train_end))
    for day in range(TEST_DAYS):
        begin = fold.test_start + day * DAY_MS
        judged = begin - (DELAY_DAYS + 1) * DAY_MS
        known = np.union1d(known, rows.struck(rows.between(judged, judged + DAY_MS)))
        today = rows.between(begin, begin + DAY_MS)
        yield today[~np.isin(rows.card[today], known)]


def _date(time: int) -> str:
    return str(np.datetime64(time, "ms").astype("datetime64[D]"))

"""Check training data before anything is learnt from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from orchestration.training.frame import Floats, Frame

MOST_DARKER = 0.5
"""By how much the share of unknown values of a feature may grow towards the window's end."""
MOST_FRAUD = 0.5


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `detail` says what was found and what was wanted."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What data must have at least: rows, rows of the rare class, and days."""

    rows: int
    frauds: int
    days: float


def examine(frame: Frame, wanted: Wanted) -> list[Check]:
    """Return every check of a frame, in a fixed order."""
    return [*_amounts(frame, wanted), *_values(frame)]


def _amounts(frame: Frame, wanted: Wanted) -> Iterator[Check]:
    rows, frauds = len(frame), int(frame.y.sum())
    yield Check("rows", rows >= wanted.rows, f"{rows} rows, at least {wanted.rows}")
    yield Check("frauds", frauds >= wanted.frauds, f"{frauds} frauds, at least {wanted.frauds}")
    share = frauds / rows if rows else 0.0
    yield Check(
        "share", share <= MOST_FRAUD, f"{share:.4f} of the rows are fraud, at most {MOST_FRAUD}"
    )
    days = float(np.ptp(frame.event_time)) / 86_400_000 if rows else 0.0
    yield Check("days", days >= wanted.days, f"{days:.1f} days, at least {wanted.days:g}")
    ordered = bool((frame.event_time[1:] >= frame.event_time[:-1]).all())
    yield Check("order", ordered, "rows are in order of time" if ordered else "rows are unordered")


def _values(frame: Frame) -> Iterator[Check]:
    infinite = [name for name, column in _columns(frame) if np.isinf(column).any()]
    words = ", ".join(infinite) or "none"
    yield Check("finite", not infinite, f"features with infinite values: {words}")
    cut = len(frame) * 3 // 4
    # A part of the pipeline that broke leaves a feature unknown from then on.
    dark = [
        name
        for name, column in _columns(frame)
        if cut and np.isnan(column[cut:]).mean() - np.isnan(column[:cut]).mean() > MOST_DARKER
    ]
    words = ", ".join(dark) or "none"
    yield Check("known", not dark, f"features that became unknown lately: {words}")


def _columns(frame: Frame) -> Iterator[tuple[str, Floats]]:
    for at, name in enumerate(frame.features):
        yield name, frame.x[:, at]

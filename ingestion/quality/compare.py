"""Compare two data sets: column by column, how the second one's distribution differs.

PSI, the population stability index, is the sum of (q - p) ln(q / p) over bins, and Jensen-Shannon
the distance of Lin (1991) to base 2, from 0 to 1. KS is the largest distance between two
distribution functions (Kolmogorov-Smirnov). Numbers are put into bins at the tenths of the first
set; an id stands for how many rows it has (the tail), a time for the hour of the week.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ingestion.quality.data import Data, cells
from ingestion.quality.profiles import Column, Profile

Floats = NDArray[np.float64]
_HOUR_MS = 3_600_000
# A bin that one side lacks would make the index infinite.
_LEAST_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class Difference:
    """How one column differs: figures of both sets, and distances of the second from the first.

    `psi` of less than 0.1 is usually taken for stable, of 0.25 and more for a drift.
    """

    column: str
    of: str
    first: dict[str, float]
    second: dict[str, float]
    psi: float
    jensen_shannon: float
    ks: float | None
    shared: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the difference as JSON types."""
        return asdict(self)


def compare(first: Data, second: Data, profile: Profile) -> list[Difference]:
    """Compare the columns of a profile that both sets have and that hold no free text."""
    both = {*first.table.column_names} & {*second.table.column_names}
    kinds: dict[str, Callable[[str, Any, Any], Difference]] = {
        "label": _labels,
        "id": _ids,
        "time": _times,
        "millis": _times,
        "integer": _numbers,
        "number": _numbers,
    }
    return [
        kinds[column.kind](column.name, _values(first, column), _values(second, column))
        for column in profile.columns
        if column.name in both and column.kind in kinds
    ]


def psi(first: Floats, second: Floats) -> float:
    """Return the population stability index of two distributions over the same bins."""
    p, q = np.maximum(first, _LEAST_SHARE), np.maximum(second, _LEAST_SHARE)
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(first: Floats, second: Floats) -> float:
    """Return the Jensen-Shannon distance, base 2, of two distributions over the same bins."""
    middle = (first + second) / 2

    def divergence(one: Floats) -> float:
        there = one > 0
        return float((one[there] * np.log2(one[there] / middle[there])).sum())

    return float(np.sqrt(max(0.0, (divergence(first) + divergence(second)) / 2)))


def ks(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the largest distance between the distribution functions of two samples."""
    if not len(first) or not len(second):
        return float(len(first) != len(second))
    one, two = np.sort(first), np.sort(second)
    places = np.unique(np.concatenate([one, two]))
    reached = (np.searchsorted(side, places, side="right") / len(side) for side in (one, two))
    return float(np.abs(np.subtract(*reached)).max())


def _values(data: Data, column: Column) -> NDArray[Any]:
    return cells(data, column).values


def _labels(name: str, first: NDArray[Any], second: NDArray[Any]) -> Difference:
    left, right = (pd.Series(side).value_counts(normalize=True) for side in (first, second))
    labels = sorted({*left.index} | {*right.index}, key=lambda one: -left.get(one, 0.0))
    p, q = (np.array([side.get(one, 0.0) for one in labels]) for side in (left, right))
    one, two = (dict(zip(map(str, labels), side.tolist(), strict=True)) for side in (p, q))
    return Difference(name, "share", one, two, psi(p, q), jensen_shannon(p, q), None)


def _numbers(name: str, first: NDArray[Any], second: NDArray[Any]) -> Difference:
    p, q = _binned(first, second)
    one, two = _figures(first), _figures(second)
    distance = ks(first, second)
    return Difference(name, "value", one, two, psi(p, q), jensen_shannon(p, q), distance)


def _ids(name: str, first: NDArray[Any], second: NDArray[Any]) -> Difference:
    left, right = (pd.Series(side).value_counts() for side in (first, second))
    p, q = _binned(left.to_numpy(), right.to_numpy())
    one, two = (
        {"distinct": float(len(side)), **_figures(side.to_numpy()), "top 1 %": _top(side)}
        for side in (left, right)
    )
    known = right.index.isin(left.index)
    shared = float(right[known].sum() / len(second)) if len(second) else 0.0
    distance = ks(left.to_numpy(), right.to_numpy())
    distances = (psi(p, q), jensen_shannon(p, q), distance, shared)
    return Difference(name, "rows of an id", one, two, *distances)


def _times(name: str, first: NDArray[Any], second: NDArray[Any]) -> Difference:
    hours = (np.asarray(side, np.int64) // _HOUR_MS % 168 for side in (first, second))
    p, q = (np.bincount(side, minlength=168) / max(1, len(side)) for side in hours)
    one, two = _spread(first), _spread(second)
    return Difference(name, "hour of the week", one, two, psi(p, q), jensen_shannon(p, q), None)


def _spread(times: NDArray[Any]) -> dict[str, float]:
    days = float(np.ptp(times)) / (24 * _HOUR_MS) if len(times) else 0.0
    return {"days": days, "rows a day": len(times) / max(1.0, days)}


def _binned(first: NDArray[Any], second: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return the shares of both in bins between the tenths of the first."""
    if not len(first):
        return np.zeros(1), np.zeros(1)
    # Of values that repeat, each is a bin of its own.
    edges = np.unique(np.quantile(first, np.linspace(0, 1, 11)))
    counts = (
        np.bincount(np.searchsorted(edges, side, side="left"), minlength=len(edges) + 1)
        for side in (first, second)
    )
    p, q = (count / max(1, count.sum()) for count in counts)
    return p, q


def _figures(values: NDArray[Any]) -> dict[str, float]:
    if not len(values):
        return {}
    quantiles = zip(("p50", "p90", "p99"), np.quantile(values, (0.5, 0.9, 0.99)), strict=True)
    return {
        "mean": float(np.mean(values)),
        **{name: float(value) for name, value in quantiles},
        "max": float(np.max(values)),
    }


def _top(counts: pd.Series) -> float:
    """Return the share of the rows that the most frequent hundredth of the ids has."""
    most = max(1, len(counts) // 100)
    return float(counts.iloc[:most].sum() / counts.sum()) if len(counts) else 0.0

"""Intervals around forecasts, from how earlier forecasts of the same size turned out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestration.inventory.sales import Floats

BINS = 15
SMALL = 1e-6
LEVELS = {80: (0.1, 0.9), 95: (0.025, 0.975)}
"""The quantiles that bound an interval, by its percentage."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Quantiles of actual over forecast, by the size of the forecast.

    `edges` are the inner bounds of the bins, ascending; `ratios` has a row a bin, a column a level.
    """

    levels: tuple[float, ...]
    edges: Floats
    ratios: Floats

    def bounds(self, forecasts: Floats) -> Floats:
        """Return a row per forecast, a column per level; none is below 0 or crosses another."""
        place = np.searchsorted(self.edges, forecasts, side="right")
        return np.asarray(forecasts[:, None] * self.ratios[place])


def learnt(
    forecasts: Sequence[Floats], actual: Sequence[Floats], levels: Sequence[float]
) -> Intervals:
    """Return the intervals that earlier forecasts and what came of them tell.

    Forecasts are put into `BINS` bins of equally many, by their size.
    """
    expected, came = np.concatenate(forecasts), np.concatenate(actual)
    chosen = expected > SMALL
    expected, came = expected[chosen], came[chosen]
    if not len(expected):
        return Intervals(tuple(levels), np.zeros(0), np.ones((1, len(levels))))
    edges = np.unique(np.quantile(expected, np.arange(1, BINS) / BINS))
    places = np.searchsorted(edges, expected, side="right")
    ratio = came / expected
    whole = np.quantile(ratio, levels)
    rows = [
        np.quantile(ratio[places == one], levels) if (places == one).any() else whole
        for one in range(len(edges) + 1)
    ]
    return Intervals(tuple(levels), edges, np.array(rows))

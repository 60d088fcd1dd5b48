"""Intervals around forecasts, from how earlier forecasts of the same size turned out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestration.inventory.sales import Floats, Ints

BINS = 15
SMALL = 1e-6
LEVELS = {80: (0.1, 0.9), 95: (0.025, 0.975)}
"""The quantiles that bound an interval, by its percentage."""
_STEPS = 11

Bounds = dict[int, tuple[Floats, Floats]]
"""Lower and upper bounds, by the percentage of their interval."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """Quantiles of actual over forecast, by the size of the forecast.

    `edges` are the inner bounds of the bins, ascending; `ratios` has a row a bin, and for each of
    `LEVELS` a column for the lower and one for the upper bound.
    """

    edges: Floats
    ratios: Floats

    def bounds(self, forecasts: Floats) -> Bounds:
        """Return the lower and upper bounds of forecasts, by the percentage of their interval."""
        place = np.searchsorted(self.edges, forecasts, side="right")
        found = forecasts[:, None] * self.ratios[place]
        return {
            level: (found[:, 2 * column], found[:, 2 * column + 1])
            for column, level in enumerate(LEVELS)
        }


def learnt(forecasts: Sequence[Floats], actual: Sequence[Floats]) -> Intervals:
    """Return the intervals that earlier forecasts and what came of them tell.

    Forecasts are put into `BINS` bins of equally many, by their size. Units are whole numbers, many
    of them 0, so quantiles hold more than they promise: they are drawn in, together in all bins,
    until the earlier forecasts are covered as promised, or their tails are twice as large.
    """
    expected, came = np.concatenate(forecasts), np.concatenate(actual)
    chosen = expected > SMALL
    expected, came = expected[chosen], came[chosen]
    if not len(expected):
        return Intervals(np.zeros(0), np.ones((1, 2 * len(LEVELS))))
    edges = np.unique(np.quantile(expected, np.arange(1, BINS) / BINS))
    places = np.searchsorted(edges, expected, side="right")
    ratio = came / expected
    columns = []
    for level, (tail, _) in LEVELS.items():
        tails = np.linspace(tail, 2 * tail, _STEPS)
        below = _quantiles(ratio, places, len(edges) + 1, tails)
        above = _quantiles(ratio, places, len(edges) + 1, 1 - tails)
        inside = (below[places] <= ratio[:, None]) & (ratio[:, None] <= above[places])
        best = int(np.abs(inside.mean(axis=0) - level / 100).argmin())
        columns += [below[:, best], above[:, best]]
    return Intervals(edges, np.column_stack(columns))


def _quantiles(ratio: Floats, places: Ints, bins: int, levels: Floats) -> Floats:
    """Return the quantiles of each bin, a row a bin; of an empty one, those of all."""
    whole = np.quantile(ratio, levels)
    rows = [
        np.quantile(ratio[places == one], levels) if (places == one).any() else whole
        for one in range(bins)
    ]
    return np.array(rows)

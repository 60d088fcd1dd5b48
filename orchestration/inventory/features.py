"""What the model knows of each item when a day begins."""

from __future__ import annotations

import numpy as np

from orchestration.inventory.panel import Panel
from orchestration.inventory.sales import Floats, day_of, number_of

WINDOWS = (7, 14, 28, 56, 91, 150)
BASE = {14: 0.15, 28: 0.30, 56: 0.35, 91: 0.20}
"""Weights of the capped rates in an item's base, by days."""
LEAST = 0.02
"""Least base, in units per open day."""
_DECEMBER = (1, 24)

NAMES = (
    *(f"rate_{one}" for one in WINDOWS),
    *(f"capped_{one}" for one in WINDOWS),
    *(f"days_sold_{one}" for one in WINDOWS),
    *(f"lines_{one}" for one in WINDOWS),
    *(f"to_base_{one}" for one in WINDOWS),
    "base",
    "age",
    "recency",
    "price",
    "largest_28",
    "december",
    "growth_14",
    "growth_28",
    "year_ago",
)


def open_days(panel: Panel, window: int) -> float:
    """Return the open days among the last `window` ones that there are, at least 1."""
    return float(max(panel.open[-window:].sum(), 1))


def bases(panel: Panel) -> Floats:
    """Return each item's base: usual units of an open day, single large orders cut down."""
    return sum(
        (
            weight * panel.capped[:, -window:].sum(axis=1) / open_days(panel, window)
            for window, weight in BASE.items()
        ),
        np.zeros(len(panel.units)),
    )


def matrix(panel: Panel, horizon: int) -> Floats:
    """Return the features of all items, one row an item, in the order of `NAMES`."""
    base = np.maximum(bases(panel), LEAST)
    effective = {window: open_days(panel, window) for window in WINDOWS}

    def rates(grid: Floats) -> list[Floats]:
        return [grid[:, -window:].sum(axis=1) / effective[window] for window in WINDOWS]

    capped = rates(panel.capped)
    sold = (panel.units > 0).astype(np.float64)
    units = panel.units[:, -91:].sum(axis=1)
    worth = panel.prices[:, -91:].sum(axis=1)
    same = np.ones(len(panel.units))
    columns = [
        *rates(panel.units),
        *capped,
        *rates(sold),
        *rates(panel.lines),
        *(one / base for one in capped),
        base,
        (panel.cut - panel.first_sold).astype(np.float64),
        (panel.cut - panel.last_sold).astype(np.float64),
        np.divide(worth, units, out=np.full(len(units), np.nan), where=units > 0),
        panel.units[:, -28:].max(axis=1, initial=0.0) / base,
        _december(panel) / base,
        same * _growth(panel, 14, 56),
        same * _growth(panel, 28, 91),
        _year_ago(panel, horizon) / base,
    ]
    return np.column_stack(columns)


def _growth(panel: Panel, short: int, long: int) -> float:
    """Return all items' units per open day lately, over those of a longer time."""
    newer = panel.totals[-short:].sum() / open_days(panel, short)
    older = panel.totals[-long:].sum() / open_days(panel, long)
    return float(newer / older) if older else 1.0


def _rate(panel: Panel, begin: int, end: int) -> Floats:
    """Return the capped units per open day in [begin, end); NaN unless all of it is known."""
    if begin < panel.first or end > panel.cut:
        return np.full(len(panel.units), np.nan)
    chosen = slice(begin - panel.first, end - panel.first)
    days = max(int(panel.open[chosen].sum()), 1)
    return np.asarray(panel.capped[:, chosen].sum(axis=1) / days)


def _december(panel: Panel) -> Floats:
    """Return each item's rate in the last December, up to Christmas Eve, that is over."""
    year = day_of(panel.cut).year
    for one in (year, year - 1):
        begin, end = (number_of(day_of(panel.cut).replace(one, 12, day)) for day in _DECEMBER)
        if end <= panel.cut:
            return _rate(panel, begin, end)
    return np.full(len(panel.units), np.nan)


def _year_ago(panel: Panel, horizon: int) -> Floats:
    """Return each item's rate over the same days 52 weeks before."""
    return _rate(panel, panel.cut - 364, panel.cut - 364 + horizon)

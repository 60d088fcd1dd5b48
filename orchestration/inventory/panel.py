"""Sales by item and day as they were known at a moment, and the days that the shop is open."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from orchestration.inventory.sales import Floats, Ints, Sales

WEEKS = 8
"""Weeks that tell which weekdays are closed, and how the others differ."""
_CLOSED_SHARE = 0.01
_CAP_MEDIANS = 6.0
_CAP_QUANTILE = 0.9

Bools = NDArray[np.bool_]


def weekdays(days: Ints) -> Ints:
    """Return the weekdays of days since 1970, 0 for Monday."""
    return (days + 3) % 7


@dataclass(frozen=True)
class Panel:
    """Sales known when the day `cut` (since 1970) begins: units and lines, items by days.

    Column 0 is the day `first`; the last one is the day before `cut`. Nothing dated or known from
    `cut` on is in it. `closed_ahead`: days that the shop has announced it will be closed.
    """

    first: int
    cut: int
    units: Floats
    lines: Floats
    prices: Floats
    closed_ahead: frozenset[int] = frozenset()

    @property
    def days(self) -> Ints:
        """Return the days of the columns."""
        return np.arange(self.first, self.cut)

    @cached_property
    def totals(self) -> Floats:
        """Return the units of all items by day, single ones cut down to their items' usual most."""
        return np.asarray(self.capped.sum(axis=0))

    @cached_property
    def closed_weekdays(self) -> Bools:
        """Return which of the seven weekdays have (almost) no sales lately."""
        days = self.days[-7 * WEEKS :]
        recent = self.lines.sum(axis=0)[-7 * WEEKS :]
        found = np.array([recent[weekdays(days) == one].sum() for one in range(7)])
        return np.asarray(found < _CLOSED_SHARE * max(found.sum() / 7, 1e-9))

    @cached_property
    def season(self) -> int:
        """Return the number of open weekdays, at least 1."""
        return int(max((~self.closed_weekdays).sum(), 1))

    @cached_property
    def open(self) -> Bools:
        """Return which days of the past had sales and a weekday that is open."""
        any_sale = self.lines.sum(axis=0) > 0
        return np.asarray(any_sale & ~self.closed_weekdays[weekdays(self.days)])

    @cached_property
    def profile(self) -> Floats:
        """Return the weekdays' usual units over those of the mean open day; 0 where closed."""
        recent = slice(-7 * WEEKS, None)
        days, totals, was_open = self.days[recent], self.totals[recent], self.open[recent]
        found = np.zeros(7)
        for one in range(7):
            chosen = totals[was_open & (weekdays(days) == one)]
            if not self.closed_weekdays[one] and len(chosen):
                found[one] = chosen.mean()
        working = found > 0
        return found / found[working].mean() if working.any() else np.ones(7)

    def ahead(self, horizon: int) -> Bools:
        """Return which of the next days are expected to be open."""
        days = np.arange(self.cut, self.cut + horizon)
        announced = np.isin(days, list(self.closed_ahead))
        return (self.profile[weekdays(days)] > 0) & ~announced

    def shares(self, horizon: int) -> Floats:
        """Return the share of each of the next days in a total over them, 0 on closed ones."""
        days = np.arange(self.cut, self.cut + horizon)
        weights = self.profile[weekdays(days)] * self.ahead(horizon)
        total = weights.sum()
        return weights / total if total else weights

    @cached_property
    def capped(self) -> Floats:
        """Return the units with each item-day cut down to what is usual for the item at most.

        That is the larger of its quantile .9 and six medians, over its days with sales.
        """
        sold = np.where(self.units > 0, self.units, np.nan)
        counts = (~np.isnan(sold)).sum(axis=1)
        ordered = np.sort(sold, axis=1)
        cap = np.maximum(
            _quantile(ordered, counts, _CAP_QUANTILE),
            _CAP_MEDIANS * _quantile(ordered, counts, 0.5),
        )
        return np.minimum(self.units, cap[:, None])

    @cached_property
    def first_sold(self) -> Ints:
        """Return each item's first day with a sale; `cut` if there is none."""
        any_sale = self.lines > 0
        return np.where(any_sale.any(axis=1), self.first + any_sale.argmax(axis=1), self.cut)

    @cached_property
    def last_sold(self) -> Ints:
        """Return each item's last day with a sale; the day before `first` if there is none."""
        any_sale = self.lines[:, ::-1] > 0
        return np.where(
            any_sale.any(axis=1), self.cut - 1 - any_sale.argmax(axis=1), self.first - 1
        )


def _quantile(ordered: Floats, counts: Ints, level: float) -> Floats:
    """Return a quantile of each row's first `counts` values, interpolated; 0 of none."""
    place = level * np.maximum(counts - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(counts - 1, 0))
    rows = np.arange(len(ordered))
    if not ordered.shape[1]:
        return np.zeros(len(ordered))
    below, above = ordered[rows, low], ordered[rows, high]
    return np.nan_to_num(below + (place - low) * (above - below))


class Panels:
    """The panels of sales at any day; the newest ones are kept."""

    def __init__(self, sales: Sales, closed: Collection[int] = ()) -> None:
        self.sales, self.first, self.closed = sales, sales.first_day, frozenset(closed)
        self.at = lru_cache(maxsize=4)(self._at)

    def _at(self, cut: int) -> Panel:
        return Panel(self.first, cut, *self._grids(cut, cut), self.closed)

    def _grids(self, until: int, known_by: int) -> tuple[Floats, Floats, Floats]:
        sales = self.sales.before(known_by)
        shape = len(sales.items), max(until - self.first, 0)
        chosen = sales.day < until
        where = sales.item[chosen] * shape[1] + (sales.day[chosen] - self.first)
        changes, price = sales.units[chosen], sales.price[chosen]
        sold = changes > 0

        def grid(places: Ints, weights: Floats | None = None) -> Floats:
            found = np.bincount(places, weights, minlength=shape[0] * shape[1])
            return found.astype(np.float64).reshape(shape)

        priced = sold & np.isfinite(price)
        worth = grid(where[priced], price[priced] * changes[priced])
        return np.maximum(grid(where, changes), 0.0), grid(where[sold]), worth

    def sold(self, begin: int, end: int, known_by: int) -> Floats:
        """Return the units of each item and day in [begin, end), as known when `known_by` begins.

        Days past the data have none.
        """
        sales = self.sales.before(known_by)
        chosen = (sales.day >= begin) & (sales.day < end)
        where = sales.item[chosen] * (end - begin) + (sales.day[chosen] - begin)
        size = len(sales.items) * (end - begin)
        found = np.bincount(where, sales.units[chosen], minlength=size)
        return np.maximum(found.reshape(len(sales.items), end - begin), 0.0)

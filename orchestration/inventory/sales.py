"""Order lines as arrays, each cancellation matched with the sale that it takes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from config.errors import UserError
from domain.inventory.demand import DAY_MS
from ingestion.shop.frames import CANCELLATION, PURCHASE
from ingestion.shop.online_retail import OnlineRetail

WITHIN_DAYS = 7
"""A cancellation is netted against a sale of at most this many days before it."""
COLUMNS = ("event_type", "event_time", "user_id", "item_id", "price", "quantity")
_EPOCH = date(1970, 1, 1)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class TooLittleError(UserError):
    """Raised where there are too few sales, or none, to forecast from."""


@dataclass(frozen=True, slots=True)
class Sales:
    """Lines that were sold, in order of `known` (ms since 1970).

    A line changes the units of `item` (a place in `items`, which is sorted) on `day` (days since
    1970): a sale adds units on its own day; a cancellation takes them away on the day of its sale,
    and is known later. `price` is the unit price of a sale, NaN where there is none.
    """

    items: tuple[str, ...]
    item: Ints
    day: Ints
    units: Floats
    price: Floats
    known: Ints

    @property
    def first_day(self) -> int:
        """Return the day of the first sale, as days since 1970."""
        return int(self.day.min())

    @property
    def last_day(self) -> int:
        """Return the day of the last line, which may not be over yet."""
        return int(self.known.max() // DAY_MS)

    def before(self, day: int) -> Sales:
        """Return the lines known before a day begins."""
        end = int(np.searchsorted(self.known, day * DAY_MS))
        return Sales(
            self.items,
            self.item[:end],
            self.day[:end],
            self.units[:end],
            self.price[:end],
            self.known[:end],
        )


def day_of(day: int) -> date:
    """Return the date of a day since 1970."""
    return _EPOCH + timedelta(days=int(day))


def number_of(day: date) -> int:
    """Return the days since 1970."""
    return (day - _EPOCH).days


def from_file(path: Path) -> Sales:
    """Return the sales of a file in Online Retail's format (parquet, CSV or a workbook).

    Raise UserError if it cannot be read or holds no sale.
    """
    tables = [chunk.events for chunk in OnlineRetail(path).chunks()]
    return from_events(pa.concat_tables(tables, promote_options="permissive"), str(path))


def from_events(events: pa.Table, source: str) -> Sales:
    """Return the sales among records of ShopEvent: with units, and at no price or one above 0.

    Raise TooLittleError if there is none.
    """
    lines = pd.DataFrame({name: events[name].to_pandas() for name in COLUMNS})
    kinds = lines["event_type"].astype(str)
    # What costs nothing is no sale: stock that was found, or booked from one code to another.
    free = lines["price"].le(0).fillna(False).astype(bool) & kinds.eq(PURCHASE)
    lines = lines[kinds.isin((PURCHASE, CANCELLATION)) & lines["quantity"].gt(0) & ~free]
    lines = lines.sort_values("event_time", kind="stable").reset_index(drop=True)
    sold = lines["event_type"].astype(str).eq(PURCHASE).to_numpy()
    if not sold.any():
        raise TooLittleError(f"{source} holds no sale")
    items, codes = np.unique(lines["item_id"].astype(str).to_numpy(object), return_inverse=True)
    known = lines["event_time"].to_numpy(np.int64)
    units = lines["quantity"].to_numpy(np.float64)
    price = lines["price"].to_numpy(np.float64, na_value=np.nan)
    who = pd.factorize(lines["user_id"])[0]
    taken = _matched(codes, who, known, units, sold)
    place = np.flatnonzero(sold)
    item = np.concatenate([codes[place], codes[taken.sale]])
    when = np.concatenate([known[place], known[taken.sale]])
    changes = np.concatenate([units[place], -taken.units])
    prices = np.concatenate([price[place], np.full(len(taken.units), np.nan)])
    told = np.concatenate([known[place], known[taken.by]])
    order = np.argsort(told, kind="stable")
    return Sales(
        tuple(items.tolist()),
        item[order].astype(np.int64),
        (when // DAY_MS)[order],
        changes[order],
        prices[order],
        told[order],
    )


@dataclass(frozen=True, slots=True)
class _Taken:
    """Units that a cancellation (`by`, a line) takes from a sale (`sale`, a line)."""

    sale: Ints
    by: Ints
    units: Floats


def _matched(codes: Ints, who: Ints, known: Ints, units: Floats, sold: NDArray[np.bool_]) -> _Taken:
    """Match each cancellation with its customer's latest earlier sales of the item.

    What finds no sale within `WITHIN_DAYS` takes nothing. A match rests on earlier lines alone.
    """
    wanted = set(zip(codes[~sold].tolist(), who[~sold].tolist(), strict=True))
    open_sales: dict[tuple[int, int], list[tuple[int, float]]] = {}
    found: list[tuple[int, int, float]] = []
    lines = zip(codes.tolist(), who.tolist(), units.tolist(), sold.tolist(), strict=True)
    for line, (item, customer, count, is_sale) in enumerate(lines):
        key = item, customer
        if is_sale:
            if key in wanted:
                open_sales.setdefault(key, []).append((line, count))
            continue
        stack, left = open_sales.get(key, []), count
        while stack and left > 0:
            sale, there = stack.pop()
            if known[line] - known[sale] > WITHIN_DAYS * DAY_MS:
                break
            took = min(left, there)
            found.append((sale, line, took))
            left -= took
            if there > took:
                stack.append((sale, there - took))
    sales, by, took_units = zip(*found, strict=True) if found else ((), (), ())
    return _Taken(np.array(sales, np.int64), np.array(by, np.int64), np.array(took_units, float))

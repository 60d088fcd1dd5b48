"""Read the Instacart data of 2017: orders.csv and order_products__prior.csv or __train.csv.

A line of an order becomes two events: `addtocart`, in the order of `add_to_cart_order` a second
apart, and `transaction` when the order is complete. Nothing is known of prices.

The data have no dates. A user's first order falls in the week of the anchor, which is the day
called 0 by `order_dow`; the next ones follow by `days_since_prior_order` (30 stands for 30 or more:
the first such day that agrees with `order_dow`). The hour is `order_hour_of_day`, taken as UTC, and
the user's id says when within it, so that orders do not all begin at once. products.csv gives
categories: the aisle, and above it the department; by name where aisles.csv and departments.csv
are there. Source: kaggle.com/c/instacart-market-basket-analysis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from config.errors import UserError
from ingestion.replay.batches import Rejected
from ingestion.shop import items
from ingestion.shop.chunks import ROWS_A_CHUNK, Chunk
from ingestion.shop.files import read_typed, require

ORDERS = "orders.csv"
LINES = ("order_products__prior.csv", "order_products__train.csv")
PRODUCTS, AISLES, DEPARTMENTS = "products.csv", "aisles.csv", "departments.csv"
DAY_MS, HOUR_MS = 86_400_000, 3_600_000
# The published orders have 145 lines at most: with a second a line, all events of an order lie
# within its hour, and hours can be sorted one by one.
_MOST_SECONDS = 150
_CAPPED = 30

_ORDER_TYPES = {
    "order_id": pa.int32(),
    "user_id": pa.int32(),
    "order_number": pa.int16(),
    "order_dow": pa.int8(),
    "order_hour_of_day": pa.int8(),
    "days_since_prior_order": pa.float32(),
}
_LINE_TYPES = {
    "order_id": pa.int32(),
    "product_id": pa.int32(),
    "add_to_cart_order": pa.int16(),
}


class Instacart:
    """The lines in a folder, in order of time. Raise UserError for missing or other files.

    `anchor`: the day called 0, in ms since 1970.
    """

    def __init__(self, folder: Path, anchor: int) -> None:
        present = [folder / name for name in LINES if (folder / name).is_file()]
        self.files = [require(folder, ORDERS), *(present or [require(folder, LINES[0])])]
        extra = (folder / name for name in (PRODUCTS, AISLES, DEPARTMENTS))
        self._extra = {file.name: file for file in extra if file.is_file()}
        self.files += self._extra.values()
        self._anchor = anchor
        # Orders by time; each has `sizes` lines, from `starts` on.
        self._times, self._orders, self._users = _timed(
            read_typed(self.files[0], _ORDER_TYPES), anchor
        )
        lines = pa.concat_tables(read_typed(file, _LINE_TYPES) for file in present)
        groups = _grouped(lines.column("order_id").to_numpy())
        # Column by column: both copies of all of them would be most of the memory.
        lines = lines.drop_columns(["order_id"])
        self._products = lines.column("product_id").to_numpy()
        lines = lines.drop_columns(["product_id"])
        self._places = lines.column("add_to_cart_order").to_numpy()
        self._lines = groups.by
        # An order without lines is not found, -1: the last place, which holds none.
        found = pd.Index(groups.orders).get_indexer(self._orders)
        self._starts = np.append(groups.starts, 0)[found]
        self._sizes = np.append(groups.sizes, 0)[found]
        self._lost = groups.lines_of(~np.isin(groups.orders, self._orders))

    def count(self) -> int:
        """Return the number of lines."""
        return len(self._products)

    def items(self) -> pa.Table | None:
        """Return the products as columns of ShopItem, or None without products.csv."""
        if PRODUCTS not in self._extra:
            return None
        columns = {"product_id": pa.int32(), "aisle_id": pa.int32(), "department_id": pa.int32()}
        rows = read_typed(self._extra[PRODUCTS], columns)
        aisles = self._names(AISLES, "aisle_id", "aisle")
        departments = self._names(DEPARTMENTS, "department_id", "department")
        ids, aisle, department = (column.to_pylist() for column in rows.columns)
        return items.constant(
            [str(one) for one in ids],
            [
                [aisles.get(low, str(low)), departments.get(high, str(high))]
                for low, high in zip(aisle, department, strict=True)
            ],
            self._anchor,
        )

    def _names(self, file: str, key: str, name: str) -> dict[int, str]:
        if file not in self._extra:
            return {}
        rows = read_typed(self._extra[file], {key: pa.int32(), name: pa.string()})
        return dict(zip(*(column.to_pylist() for column in rows.columns), strict=True))

    def chunks(self, limit: int | None = None) -> Iterator[Chunk]:
        """Yield the first `limit` lines (all if None), whole hours at a time."""
        rejected = [
            Rejected(row, f"order {order} is not in {ORDERS}", f"line of order {order}")
            for row, order in self._lost
        ]
        last = self.count() if limit is None else min(limit, self.count())
        rejected = rejected[:last]
        done = len(rejected)
        for first, end in self._hours():
            # An order's lines may be cut by the limit, its events not.
            lines, sizes = self._lines_of(first, end)
            kept = min(len(lines), last - done)
            done += kept
            if kept or rejected:
                yield self._chunk(first, lines[:kept], sizes, done, rejected)
            rejected = []
            if done >= last:
                return

    def _hours(self) -> Iterator[tuple[int, int]]:
        """Yield ranges of orders: whole hours, together at least a chunk of lines."""
        hours = self._times // HOUR_MS
        ends = np.append(np.flatnonzero(hours[1:] != hours[:-1]) + 1, len(hours))
        lines = np.cumsum(self._sizes)[ends - 1] if len(hours) else np.zeros(1, np.int64)
        first = before = 0
        for end, total in zip(ends.tolist(), lines.tolist(), strict=True):
            if total - before >= ROWS_A_CHUNK or end == len(hours):
                yield first, end
                first, before = end, total

    def _lines_of(self, first: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the lines of a range of orders, and how many each order has."""
        sizes, starts = self._sizes[first:end], self._starts[first:end]
        before = np.cumsum(sizes) - sizes
        flat = np.arange(sizes.sum()) + np.repeat(starts - before, sizes)
        return (flat if self._lines is None else self._lines[flat]), sizes

    def _chunk(
        self,
        first: int,
        lines: NDArray[np.int64],
        sizes: NDArray[np.int64],
        done: int,
        rejected: list[Rejected],
    ) -> Chunk:
        which = np.repeat(np.arange(len(sizes)), sizes)[: len(lines)] + first
        size = np.repeat(sizes, sizes)[: len(lines)]
        seconds = np.clip(self._places[lines], 1, _MOST_SECONDS - 1).astype(np.int64)
        starts = self._times[which]
        carts = starts + (seconds - 1) * 1000
        bought = starts + np.minimum(size, _MOST_SECONDS - 1) * 1000
        times = np.concatenate([carts, bought])
        order = np.argsort(times, kind="stable")
        twice = np.concatenate([lines, lines])[order]
        which = np.concatenate([which, which])[order]
        leading = order < len(lines)
        orders = pa.array(self._orders[which]).cast(pa.string())
        place = pa.array(self._places[twice]).cast(pa.string())
        kinds = pa.array(["addtocart", "transaction"])
        bits = pa.array((~leading).astype(np.int32))
        parts = (pa.array(["ic-cart", "ic"]).take(bits), orders, place)
        events = pa.table(
            {
                "event_id": pc.binary_join_element_wise(*parts, "-"),
                "event_type": pa.DictionaryArray.from_arrays(bits, kinds),
                "event_time": pa.array(times[order]),
                "user_id": pa.array(self._users[which]).cast(pa.string()),
                "item_id": pa.array(self._products[twice]).cast(pa.string()),
                "transaction_id": pc.if_else(pa.array(leading), None, orders),
            }
        )
        return Chunk(events, twice, done, rejected, leading)


def _timed(
    orders: pa.Table, anchor: int
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Return when each order begins (ms), its id and its user, in order of time."""
    frame = orders.to_pandas().sort_values(["user_id", "order_number"], kind="stable")
    if frame["order_id"].duplicated().any():
        raise UserError(f"{ORDERS} has an order twice")
    user = frame["user_id"].to_numpy()
    weekday = frame["order_dow"].to_numpy().astype(np.int64)
    gap = np.nan_to_num(frame["days_since_prior_order"].to_numpy()).astype(np.int64)
    first = np.append(True, user[1:] != user[:-1])[: len(user)]
    capped = (gap >= _CAPPED) & ~first
    gap = np.where(capped, gap + (weekday - np.roll(weekday, 1) - gap) % 7, gap)
    gap = np.where(first, weekday, gap)
    days = pd.Series(gap).groupby(user).cumsum().to_numpy()
    # Knuth's multiplicative hash of the user: the second of the hour, the same for all orders.
    spread = (user.astype(np.int64) * 2_654_435_761 % (1 << 32)) >> 16
    second = spread * (3600 - _MOST_SECONDS) >> 16
    hours = frame["order_hour_of_day"].to_numpy().astype(np.int64)
    times = anchor + days * DAY_MS + hours * HOUR_MS + second * 1000
    order = np.argsort(times, kind="stable")
    return times[order], frame["order_id"].to_numpy()[order], user[order]


@dataclass(frozen=True, slots=True)
class _Groups:
    """The lines of each order: where they start, and how many, in the order `by`.

    The published files have an order's lines together already: `by` is None.
    """

    by: NDArray[np.int64] | None
    orders: NDArray[np.int32]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def lines_of(self, chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
        """Return the number of each line of the chosen orders, and its order."""
        return sorted(
            (place if self.by is None else int(self.by[place]), int(self.orders[group]))
            for group in np.flatnonzero(chosen).tolist()
            for place in range(self.starts[group], self.starts[group] + self.sizes[group])
        )


def _grouped(of_line: NDArray[np.int32]) -> _Groups:
    by = None
    starts = np.append(0, np.flatnonzero(of_line[1:] != of_line[:-1]) + 1)[: len(of_line)]
    orders = of_line[starts]
    if len(np.unique(orders)) != len(orders):
        by = np.argsort(of_line, kind="stable")
        orders, starts = np.unique(of_line[by], return_index=True)
    sizes = np.diff(np.append(starts, len(of_line)))
    return _Groups(by, orders, starts.astype(np.int64), sizes)

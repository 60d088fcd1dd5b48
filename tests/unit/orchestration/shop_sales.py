"""A small shop with weekdays, a closed Saturday, a holiday, slow items and cancellations."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa

from domain.inventory.demand import DAY_MS
from orchestration.inventory.sales import number_of

FIRST = number_of(date(2026, 1, 5))  # a Monday
DAYS = 210
HOLIDAY = FIRST + 7 * 12 + 1
HOUR = 3_600_000
KIND = ("transaction", "cancellation")


def events(items: int = 40, days: int = DAYS, seed: int = 3) -> pa.Table:
    """Return the shop's events in order of time."""
    random = np.random.default_rng(seed)
    rates = random.gamma(0.7, 2.0, items)
    rows: list[tuple[str, int, str, str, float, int]] = []
    for day in range(FIRST, FIRST + days):
        if (day - FIRST) % 7 == 5 or day == HOLIDAY:
            continue
        weight = 1.6 if (day - FIRST) % 7 == 3 else 1.0
        for item in np.flatnonzero(random.random(items) < 1 - np.exp(-rates * weight)):
            if day < FIRST + 3 * int(item):
                continue
            when = day * DAY_MS + int(random.integers(8, 18)) * HOUR
            who, units = f"c{random.integers(30)}", int(random.geometric(0.3))
            rows.append((KIND[0], when, who, f"i{item:02d}", 1.0 + item, units))
            if random.random() < 0.08:
                later = when + int(random.integers(1, 200)) * HOUR
                rows.append((KIND[1], later, who, f"i{item:02d}", 1.0 + item, units))
    return table(rows)


def table(rows: list[tuple[str, int, str, str, float, int]]) -> pa.Table:
    """Return rows of type, time, customer, item, price and units as events in order of time."""
    names = ("event_type", "event_time", "user_id", "item_id", "price", "quantity")
    ordered = sorted(rows, key=lambda row: row[1])
    columns = zip(*ordered, strict=True) if ordered else [()] * len(names)
    return pa.table({name: list(column) for name, column in zip(names, columns, strict=True)})

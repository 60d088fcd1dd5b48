"""Forecast the demand of 5,000 items on two cores: how long it takes, CPU and memory.

    python -m benchmarks.forecasts [--items 5000] [--days 365] [--method lightgbm] [--workers 2]

A shop of so many items is simulated, most of them slow (four of five days without a sale), with
weekdays, a closed day and a trend. Time is from sales in memory to records ready for the topic, all
models trained on the way. No stack is needed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.report import keep, show
from config.logging import for_command
from config.settings import settings
from domain.inventory.demand import DAY_MS
from orchestration.inventory.forecasting import Asked, forecast
from orchestration.inventory.panel import Panels
from orchestration.inventory.sales import Sales

FIRST = 20_000
_CLOSED, _HOUR = 5, 12 * 3_600_000


def shop(items: int, days: int, seed: int = 7) -> Sales:
    """Return the sales of a simulated shop, a line an item and day that it sold on."""
    random = np.random.default_rng(seed)
    rates = 0.02 + random.gamma(0.35, 0.9, items)
    trend = np.linspace(0.9, 1.2, days)
    weekday = random.uniform(0.7, 1.4, 7)
    weekday[_CLOSED] = 0.0
    all_days = np.arange(days)
    expected = np.outer(rates, trend * weekday[(all_days + FIRST) % 7])
    item, day = np.nonzero(random.random((items, days)) < 1 - np.exp(-expected))
    order = np.argsort(day, kind="stable")
    item, day = item[order], day[order] + FIRST
    units = random.geometric(0.15, len(day)).astype(np.float64)
    names = tuple(f"item-{number:05d}" for number in range(items))
    price = random.uniform(0.5, 20.0, items)[item]
    return Sales(names, item, day, units, price, day * DAY_MS + _HOUR)


def _quiet(_name: str, _total: int | None) -> Callable[[int], None]:
    return lambda _: None


def main() -> None:
    """Run it, show the figures and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--method", default="lightgbm")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for_command(settings())
    sales = shop(options.items, options.days)
    panels = Panels(sales)
    begun, cpu = time.perf_counter(), _cpu()
    asked = Asked(FIRST + options.days, 0, options.method, workers=options.workers)
    made = forecast(panels, asked, _quiet)
    result = {
        "method": options.method,
        "items": len(made.records),
        "lines": len(sales.units),
        "days": options.days,
        "workers": options.workers,
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(_cpu() - cpu, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    show("forecasts of demand, 7, 14 and 28 days, with intervals", [result])
    print(keep("forecasts", result), file=sys.stderr)


def _cpu() -> float:
    """Return the CPU-seconds of this process and of those that it waited for."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(one) for one in whose]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    main()

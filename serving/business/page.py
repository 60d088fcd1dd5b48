"""Show the shop on the live page: its minutes as they fill, its hours with what is usual."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serving.api.context import Context
from serving.business import routes
from serving.page.panel import Document, Panel, way

MINUTES, HOURS = 60, 48
HOURS_EVERY_S = 30.0
"""Between two looks at the hours: each is compared with 28 days."""
_FIELDS = (
    *("window_start", "orders", "gmv", "path_conversion", "active_visitors"),
    *("fraud_rate", "payments_blocked", "revision"),
)

routers = ()


class Shop:
    """The collecting of the shop's windows. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._next = clock, 0.0
        self._hours: list[dict[str, Any]] = []

    async def collect(self, context: Context) -> Document:
        """Return the newest minutes and hours, the oldest first, each as it stands now."""
        minutes = await routes.latest(context.values, "1m", MINUTES)
        if self._clock() >= self._next:
            hours = await routes.latest(context.values, "1h", HOURS, compared=True)
            self._hours = [_hour(one) for one in hours]
            self._next = self._clock() + HOURS_EVERY_S
        return {
            "minutes": [{name: one[name] for name in _FIELDS} for one in minutes],
            "hours": self._hours,
        }


def _hour(window: dict[str, Any]) -> dict[str, Any]:
    usual = window["band"]["gmv_minor"]
    return {
        "window_start": window["window_start"],
        "gmv": window["gmv"],
        "low": usual and usual["low"] / 100,
        "high": usual and usual["high"] / 100,
    }


panels = (
    Panel(
        "sales",
        "The shop",
        Path(__file__).with_name("page.js"),
        Shop().collect,
        ways=(
            way(
                "Clicks to sales figures",
                "topic:shop-events job:business_metrics topic:business-metrics consumer:business "
                "store:Redis",
            ),
        ),
        place=10,
        wide=True,
    ),
)

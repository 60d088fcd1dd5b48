"""Forecast the units of many items together, by day: all of them, or those of a category."""

from __future__ import annotations

import numpy as np

from orchestration.inventory.baselines import METHODS, filled, forecast_one
from orchestration.inventory.panel import Panel, weekdays
from orchestration.inventory.sales import Floats


def ahead(panel: Panel, units: Floats, horizon: int) -> Floats:
    """Return the units of each of the next days, by AutoTheta on the sum itself.

    `units` are those of each day of the panel.
    """
    kept, _ = filled(panel, units[None, :])
    days = np.arange(panel.cut, panel.cut + horizon)
    working = ~panel.closed_weekdays[weekdays(days)]
    found = np.zeros(horizon)
    found[working] = forecast_one(
        METHODS["AutoTheta"].forecast, panel.season, int(working.sum()), kept[0]
    )
    return np.maximum(found, 0.0) * panel.ahead(horizon)

"""Say when an item runs out by its forecast.

A DemandForecast gives expected units by day, and bounds of 80 % over a few horizons. Between
horizons the bounds keep their ratio to what is expected, taken on a straight line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from domain.inventory.demand import DAY_MS, RunOut


def run_out_by(forecast: Mapping[str, Any], level: float, now: int) -> RunOut | None:
    """Return when a level runs out, from `now` (ms) on; None if the forecast does not reach `now`.

    A bound that lies beyond the forecast's end is None, or its end for the earliest.
    """
    gone, end = (now - forecast["origin"]) / DAY_MS, float(len(forecast["daily"]))
    if gone < 0 or gone >= end:
        return None
    if level <= 0:
        return RunOut(0.0, 0.0, 0.0)
    days = _until(forecast, level, gone, "units")
    earliest = _until(forecast, level, gone, "upper_80")
    latest = _until(forecast, level, gone, "lower_80")
    return RunOut(days, end - gone if earliest is None else earliest, latest)


def _until(forecast: Mapping[str, Any], level: float, gone: float, bound: str) -> float | None:
    """Return the days from `gone` on until the units of a curve reach the level."""
    sold, day = 0.0, gone
    daily: Sequence[float] = forecast["daily"]
    while day < len(daily):
        whole = int(day)
        length = min(whole + 1 - day, 1.0)
        units = daily[whole] * length * _ratio(forecast, whole + 1, bound)
        if units > 0 and sold + units >= level:
            return day + length * (level - sold) / units - gone
        sold, day = sold + units, float(whole + 1)
    return None


def _ratio(forecast: Mapping[str, Any], day: int, bound: str) -> float:
    """Return a bound over the expected units at a day, on a line between the horizons."""
    horizons, units = forecast["horizon_days"], forecast["units"]
    ratios = [one / of if of > 0 else 1.0 for one, of in zip(forecast[bound], units, strict=True)]
    below = [place for place, one in enumerate(horizons) if one <= day]
    if not below:
        return float(ratios[0])
    left = below[-1]
    if left + 1 == len(horizons):
        return float(ratios[left])
    share = (day - horizons[left]) / (horizons[left + 1] - horizons[left])
    return float(ratios[left] + share * (ratios[left + 1] - ratios[left]))

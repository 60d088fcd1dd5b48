"""Well-known methods, one series at a time, by StatsForecast: to compare with, or to choose.

A method sees the units of an item's open days since its first sale: closed weekdays are dropped,
and a day on which the whole shop sold nothing, a holiday, has the value of the same weekday before.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from statsforecast import models

from orchestration.inventory.panel import Panel, weekdays
from orchestration.inventory.sales import Floats, Ints

FOUR_WEEKS = 4
_TSB_RATE = 0.1
_PART = 50
"""Series that a process is given at once."""

Forecast = Callable[[Floats, int, int], Floats]
"""Takes a series, its season's length and how many values are wanted; returns them."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method. `flat`: its forecast is level, so its total is spread by the weekdays' profile.

    `slow`: it takes tens of milliseconds a series. `on_request`: it is measured only if asked for.
    """

    forecast: Forecast
    flat: bool = False
    slow: bool = False
    on_request: bool = False


def seasonal_naive(series: Floats, season: int, steps: int) -> Floats:
    """Return the last season again."""
    return _of(models.SeasonalNaive(season_length=season), series, steps)


def moving_average(series: Floats, season: int, steps: int) -> Floats:
    """Return the mean of the last four weeks."""
    days = min(FOUR_WEEKS * season, len(series))
    return _of(models.WindowAverage(window_size=days), series, steps)


def croston(series: Floats, season: int, steps: int) -> Floats:
    """Return Croston's forecast with the correction of Syntetos and Boylan."""
    return _of(models.CrostonSBA(), series, steps)


def tsb(series: Floats, season: int, steps: int) -> Floats:
    """Return the forecast of Teunter, Syntetos and Babai."""
    return _of(models.TSB(alpha_d=_TSB_RATE, alpha_p=_TSB_RATE), series, steps)


def imapa(series: Floats, season: int, steps: int) -> Floats:
    """Return the mean of exponential smoothing over several lengths of time."""
    return _of(models.IMAPA(), series, steps)


def auto_theta(series: Floats, season: int, steps: int) -> Floats:
    """Return the forecast of the best of four Theta models."""
    return _of(models.AutoTheta(season_length=season), series, steps)


def auto_ets(series: Floats, season: int, steps: int) -> Floats:
    """Return the forecast of the exponential smoothing with the least AICc."""
    return _of(models.AutoETS(season_length=season), series, steps)


METHODS = {
    "SeasonalNaive": Method(seasonal_naive),
    "moving average": Method(moving_average, flat=True),
    "Croston SBA": Method(croston, flat=True),
    "TSB": Method(tsb, flat=True),
    "IMAPA": Method(imapa, flat=True),
    "AutoETS": Method(auto_ets, slow=True),
    "AutoTheta": Method(auto_theta, slow=True, on_request=True),
}


def ahead(
    panel: Panel,
    method: Method,
    horizon: int,
    items: Ints | None = None,
    *,
    processes: int = 1,
    told: Callable[[int], None] = lambda _: None,
) -> Floats:
    """Return the units of each item on each of the next days, 0 for an item never sold.

    `items`: places of those wanted, all if None; others are 0. `told` hears how many are done.
    """
    chosen = np.flatnonzero(panel.first_sold < panel.cut) if items is None else items
    season = panel.season
    days = np.arange(panel.cut, panel.cut + horizon)
    working = ~panel.closed_weekdays[weekdays(days)]
    found = np.zeros((len(panel.units), horizon))
    series = list(_series(panel, chosen))
    run = partial(_run, method.forecast, season, int(working.sum()))
    parts = [series[begin : begin + _PART] for begin in range(0, len(series), _PART)]
    rows: list[Floats] = []
    for part in _mapped(run, parts, processes):
        rows += part
        told(len(rows))
    if rows:
        found[np.ix_(chosen, working)] = np.maximum(np.nan_to_num(np.array(rows)), 0.0)
    if method.flat:
        return spread(panel, found.sum(axis=1), horizon)
    return found * panel.ahead(horizon)


def spread(panel: Panel, totals: Floats, horizon: int) -> Floats:
    """Return totals spread over the next days by the weekdays' profile."""
    return np.outer(totals, panel.shares(horizon))


def filled(panel: Panel, units: Floats) -> tuple[Floats, Ints]:
    """Return the columns of the open weekdays, holidays as the same weekday before; their days."""
    working = ~panel.closed_weekdays[weekdays(panel.days)]
    season = panel.season
    kept, was_open = units[:, working].copy(), panel.open[working]
    for place in np.flatnonzero(~was_open):
        if place >= season:
            kept[:, place] = kept[:, place - season]
    return kept, panel.days[working]


def _series(panel: Panel, items: Ints) -> Iterator[Floats]:
    kept, days = filled(panel, panel.units)
    for item in items:
        begin = int(np.searchsorted(days, panel.first_sold[item]))
        yield kept[item, begin:]


def _mapped(
    run: Callable[[list[Floats]], list[Floats]], parts: list[list[Floats]], processes: int
) -> Iterator[list[Floats]]:
    if processes == 1:
        yield from map(run, parts)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(run, parts)


def _run(forecast: Forecast, season: int, steps: int, part: list[Floats]) -> list[Floats]:
    return [forecast_one(forecast, season, steps, series) for series in part]


def forecast_one(forecast: Forecast, season: int, steps: int, series: Floats) -> Floats:
    """Return a forecast; of a series too short or constant for the method, its mean."""
    if len(series) > 2 * season and np.ptp(series) > 0:
        try:
            return forecast(series, season, steps)
        except (ValueError, ZeroDivisionError, ArithmeticError):
            pass
    return np.full(steps, series.mean() if len(series) else 0.0)


def _of(model: object, series: Floats, steps: int) -> Floats:
    with warnings.catch_warnings():
        # Of single series without enough sales; what comes out is checked.
        warnings.simplefilter("ignore")
        found = model.forecast(series, steps)["mean"]  # type: ignore[attr-defined]
    return np.asarray(found, np.float64)

"""Calibrate intervals on earlier forecasts, of a model that had not seen their days."""

from __future__ import annotations

from orchestration.inventory.boosted import WEEK, Boosted
from orchestration.inventory.intervals import Bounds, Intervals, learnt
from orchestration.inventory.sales import Floats

WEEKS = 4
"""Weeks between the first and the last of the earlier forecasts."""


def learnt_by(origin: int, horizon: int) -> int:
    """Return the day by which the earlier model has learnt: the first of its forecasts begins."""
    return origin - horizon - WEEKS * WEEK


def intervals(boosted: Boosted, origin: int, horizon: int) -> Intervals:
    """Return the intervals at an origin; all they rest on was over and known before it."""
    earlier = learnt_by(origin, horizon)
    cuts = [earlier + WEEK * week for week in range(WEEKS + 1)]
    made = [boosted.totals(cut, horizon, earlier) for cut in cuts]
    came = [boosted.panels.sold(cut, cut + horizon, origin).sum(axis=1) for cut in cuts]
    return learnt(made, came)


def calibrated(boosted: Boosted, origin: int, horizon: int, totals: Floats) -> Bounds:
    """Return the bounds of forecasts made at an origin."""
    return intervals(boosted, origin, horizon).bounds(totals)

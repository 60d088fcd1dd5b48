"""Measure forecasts of demand at rolling origins, beside the methods of `baselines`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from config.errors import UserError
from domain.inventory.forecasts import HORIZONS
from orchestration.inventory import aggregate
from orchestration.inventory.baselines import METHODS, Method, ahead, filled, spread
from orchestration.inventory.boosted import HISTORY, WEEK, Boosted
from orchestration.inventory.calibration import calibrated, learnt_by
from orchestration.inventory.intervals import LEVELS, Bounds
from orchestration.inventory.measures import Coverage, Errors, Scores, scales, weeks
from orchestration.inventory.panel import Panel, Panels
from orchestration.inventory.sales import Floats, Ints, Sales, day_of

OURS = "Millrace"
LONGEST = max(HORIZONS)
SLOW_ORIGINS = 3
"""Origins at which slow methods are measured, spread over all; ours is measured there, too."""
_EVER = 2**31
Stage = Callable[[str, int | None], Callable[[int], None]]


@dataclass(frozen=True, slots=True)
class Truth:
    """The sales known at an origin, and those that came.

    `sold` has the units of each item on each of the `LONGEST` days from the origin on, net of the
    cancellations in the whole file. `items` are the places of those sold before the origin: the
    others can't be forecast one by one, but they are in the total.
    """

    panel: Panel
    sold: Floats
    items: Ints
    scale: Floats

    @classmethod
    def at(cls, panels: Panels, origin: int) -> Truth:
        """Return what is known at an origin, and what came of it."""
        panel = panels.at(origin)
        items = np.flatnonzero(panel.first_sold < origin)
        kept, days = filled(panel, panel.units[items])
        begins = np.searchsorted(days, panel.first_sold[items])
        scale = scales(kept, begins, panel.season)
        return cls(panel, panels.sold(origin, origin + LONGEST, _EVER), items, scale)


def origins(sales: Sales, count: int, until: int | None = None) -> list[int]:
    """Return the origins, a week apart; the last one's longest horizon ends with the data.

    `until`: the day after the last one to measure on, the day after the data's last if None. Raise
    UserError if the data are too short.
    """
    end = sales.last_day + 1 if until is None else until
    last = end - LONGEST
    least = sales.first_day + HISTORY + 2 * LONGEST + 4 * WEEK
    found = [one for one in range(last - WEEK * (count - 1), last + 1, WEEK) if one >= least]
    if not found:
        days = end - sales.first_day
        raise UserError(
            f"the data span {days} days; {least + LONGEST - sales.first_day} are the fewest to "
            "learn from, to calibrate on and to measure"
        )
    return found


def evaluate(
    panels: Panels,
    at: Sequence[int],
    methods: dict[str, Method],
    *,
    workers: int,
    stage: Stage,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Any]:
    """Return the figures of ours and of `methods`, in that order, ready for JSON.

    `clock` tells this process's CPU-seconds; with several workers those of slow methods are less
    than what they took.
    """
    truths = {origin: Truth.at(panels, origin) for origin in at}
    few = [at[place] for place in _spread(len(at), SLOW_ORIGINS)]
    begun = clock()
    made = _ours(panels, at, workers, stage("Millrace", None))
    ours = _scores(made, truths, at)
    ours.seconds = clock() - begun
    found = [_document(OURS, ours)]
    for name, method in methods.items():
        chosen = few if method.slow else at
        begun, told, scores = clock(), stage(name, len(chosen)), _empty()
        for done, origin in enumerate(chosen, start=1):
            truth = truths[origin]
            pool = workers if method.slow else 1
            daily = ahead(truth.panel, method, LONGEST, truth.items, processes=pool)
            _take(scores, truth, _Made({h: daily[:, :h].sum(axis=1) for h in HORIZONS}, daily))
            told(done)
        scores.seconds = clock() - begun
        found.append(_document(name, scores))
    document: dict[str, Any] = {
        "origins": [day_of(one).isoformat() for one in at],
        "items": len(truths[at[-1]].items),
        "horizons": list(HORIZONS),
        "new_items": _new(truths, at),
        "methods": found,
    }
    if len(few) < len(at) and any(one.slow for one in methods.values()):
        document["slow_methods"] = {
            "origins": [day_of(one).isoformat() for one in few],
            OURS: _document(OURS, _scores(made, truths, few)),
        }
    return document


@dataclass(frozen=True, slots=True)
class _Made:
    """Forecasts at an origin: totals by horizon, by item and day, of the sum, and intervals."""

    totals: dict[int, Floats]
    daily: Floats
    sum_by_day: Floats | None = None
    bounds: dict[int, Bounds] | None = None


def _ours(
    panels: Panels, at: Sequence[int], workers: int, told: Callable[[int], None]
) -> dict[int, _Made]:
    boosted = Boosted(panels)
    fits = [(cut, h) for o in at for h in HORIZONS for cut in (learnt_by(o, h), o)]
    boosted.learn(fits, workers, told)
    made = {}
    for origin in at:
        panel = panels.at(origin)
        totals = {h: boosted.totals(origin, h) for h in HORIZONS}
        bounds = {h: calibrated(boosted, origin, h, totals[h]) for h in HORIZONS}
        whole = aggregate.ahead(panel, panel.units.sum(axis=0), LONGEST)
        daily = spread(panel, totals[LONGEST], LONGEST)
        made[origin] = _Made(totals, daily, whole, bounds)
    return made


def _scores(made: dict[int, _Made], truths: dict[int, Truth], at: Sequence[int]) -> Scores:
    scores = _empty()
    for origin in at:
        _take(scores, truths[origin], made[origin])
    return scores


def _empty() -> Scores:
    return Scores(
        items={one: Errors() for one in HORIZONS},
        coverage={one: {level: Coverage() for level in LEVELS} for one in HORIZONS},
    )


def _take(scores: Scores, truth: Truth, made: _Made) -> None:
    known = truth.items
    for horizon, totals in made.totals.items():
        actual = truth.sold[known, :horizon].sum(axis=1)
        scores.items[horizon].add(totals[known], actual)
        for level, (lower, upper) in (made.bounds or {}).get(horizon, {}).items():
            scores.coverage[horizon][level].add(lower[known], upper[known], actual)
    whole = made.daily.sum(axis=0) if made.sum_by_day is None else made.sum_by_day
    came = truth.sold.sum(axis=0)
    scores.by_day.add(whole, came)
    scores.by_week.add(weeks(whole), weeks(came))
    working = truth.panel.ahead(LONGEST)
    scores.scaled.add(made.daily[known][:, working], truth.sold[known][:, working], truth.scale)
    scores.origins += 1


def _document(name: str, scores: Scores) -> dict[str, Any]:
    return {
        "method": name,
        "origins": scores.origins,
        "wape": {str(h): one.wape for h, one in scores.items.items()},
        "bias": {str(h): one.bias for h, one in scores.items.items()},
        "mase": scores.scaled.mase,
        "accuracy_by_day": 1 - scores.by_day.wape,
        "accuracy_by_week": 1 - scores.by_week.wape,
        "coverage": {
            str(h): {str(level): one.share for level, one in of.items() if one.count}
            for h, of in scores.coverage.items()
            if any(one.count for one in of.values())
        },
        "cpu_seconds": round(scores.seconds, 1),
    }


def _new(truths: dict[int, Truth], at: Sequence[int]) -> dict[str, float]:
    """Return the share of units, over the longest horizon, of items first sold after the origin."""
    whole = sum(float(truths[one].sold.sum()) for one in at)
    known = sum(float(truths[one].sold[truths[one].items].sum()) for one in at)
    return {"share_of_units": 1 - known / whole if whole else 0.0}


def _spread(count: int, few: int) -> list[int]:
    """Return up to `few` places of `count`, from the first to the last."""
    return sorted({round(one) for one in np.linspace(0, count - 1, min(few, count))})


def known_methods() -> dict[str, Method]:
    """Return what ours is measured beside, by name."""
    return dict(METHODS)

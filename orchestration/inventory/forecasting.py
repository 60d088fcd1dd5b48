"""Forecast the demand for each item from a day on, ready for the topic."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

from config.errors import UserError
from domain.events import DemandForecast
from domain.inventory.demand import DAY_MS
from domain.inventory.forecasts import HORIZONS, NEW_DAYS, Uplifts
from orchestration.inventory import aggregate
from orchestration.inventory.baselines import METHODS, ahead, spread
from orchestration.inventory.boosted import HISTORY, PARAMETERS, ROUNDS, WEEK, Boosted
from orchestration.inventory.calibration import calibrated, learnt_by
from orchestration.inventory.features import NAMES
from orchestration.inventory.intervals import LEVELS, Bounds, learnt
from orchestration.inventory.panel import Panels
from orchestration.inventory.sales import Floats, TooLittleError, day_of

AUTO, OURS = "auto", "lightgbm"
CHOICES = {"tsb": "TSB", "imapa": "IMAPA", "autotheta": "AutoTheta"}
"""Methods to choose instead of ours, and their names among `METHODS`."""
LONGEST = max(HORIZONS)
LEAST_DAYS = 2 * WEEK
"""Days of history that other methods need before an earlier forecast."""
_CUTS = {False: 5, True: 1}
"""Earlier forecasts that intervals are calibrated on, of fast and slow methods."""
_MOST_CATEGORIES = 200
_TOLERANCE = 0.05

Stage = Callable[[str, int | None], Callable[[int], None]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for forecasts: from the day `origin` on, by which method, with which uplifts.

    `categories` has the category of each item, where it is known.
    """

    origin: int
    made_at: int
    method: str = AUTO
    uplifts: Uplifts = field(default_factory=Uplifts)
    categories: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Forecasts:
    """The forecasts of all items sold so far, and how items, categories and the sum agree."""

    records: list[DemandForecast]
    document: dict[str, Any]


def method_of(panels: Panels, asked: Asked) -> str:
    """Return the method: ours where there is enough history, else TSB, unless one was chosen.

    Raise UserError for an unknown method, TooLittleError for too little history.
    """
    if asked.method not in (AUTO, OURS, *CHOICES):
        raise UserError(f"no method {asked.method!r}; there are: {', '.join((OURS, *CHOICES))}")
    there = asked.origin - panels.first
    ours, others = HISTORY + 2 * LONGEST + 4 * WEEK, LONGEST + LEAST_DAYS
    need = ours if asked.method == OURS else others
    if there < need:
        raise TooLittleError(f"{there} days of sales before the origin; {need} are needed at least")
    if asked.method != AUTO:
        return asked.method
    return OURS if there >= ours else "tsb"


def forecast(panels: Panels, asked: Asked, stage: Stage) -> Forecasts:
    """Return the forecasts of every item sold before the origin.

    Raise as `method_of` does, and TooLittleError if nothing was sold.
    """
    method = method_of(panels, asked)
    panel = panels.at(asked.origin)
    items = np.flatnonzero(panel.first_sold < asked.origin)
    if not len(items):
        raise TooLittleError(f"nothing was sold before {day_of(asked.origin)}")
    make = _boosted if method == OURS else _other
    totals, bounds = make(panels, asked, method, stage)
    # More days have no fewer units, and neither have their bounds.
    totals = _ascending(totals)
    for level, side in product(LEVELS, (0, 1)):
        for h, bound in _ascending({h: bounds[h][level][side] for h in HORIZONS}).items():
            bounds[h][level][side][:] = bound
    version = _version(panels, asked.origin, method)
    shares = {h: panel.shares(h) for h in HORIZONS}
    # The longest horizon's total by day, so that days and total agree.
    daily = spread(panel, totals[LONGEST], LONGEST)
    names = panels.sales.items
    records = []
    for place in items.tolist():
        name = names[place]
        category = asked.categories.get(name)
        factors = _factors(asked, name, category)
        ratios = {h: _ratio(shares[h], factors) for h in HORIZONS}
        records.append(
            DemandForecast(
                item_id=name,
                made_at=asked.made_at,
                origin=asked.origin * DAY_MS,
                horizon_days=HORIZONS,
                units=tuple(float(totals[h][place]) * ratios[h] for h in HORIZONS),
                lower_80=_bound(bounds, 80, 0, place, ratios),
                upper_80=_bound(bounds, 80, 1, place, ratios),
                lower_95=_bound(bounds, 95, 0, place, ratios),
                upper_95=_bound(bounds, 95, 1, place, ratios),
                daily=tuple((daily[place] * factors).tolist()),
                uplift=ratios[LONGEST],
                category=category,
                is_new=bool(asked.origin - panel.first_sold[place] < NEW_DAYS),
                method=method,
                model_version=version,
            )
        )
    document = {
        "origin": day_of(asked.origin).isoformat(),
        "method": method,
        "model_version": version,
        "items": len(records),
        "new_items": sum(one.is_new for one in records),
        "uplifted_items": sum(one.uplift != 1.0 for one in records),
        "last_sale": day_of(int(panel.last_sold.max())).isoformat(),
        **_levels(panels, asked, totals),
    }
    return Forecasts(records, document)


def _ascending(by_horizon: Mapping[int, Floats]) -> dict[int, Floats]:
    """Return the values with each horizon's raised to that of the horizon before it."""
    raised = np.maximum.accumulate([by_horizon[h] for h in HORIZONS])
    return dict(zip(HORIZONS, raised, strict=True))


def _boosted(
    panels: Panels, asked: Asked, method: str, stage: Stage
) -> tuple[dict[int, Floats], dict[int, Bounds]]:
    boosted, origin = Boosted(panels), asked.origin
    fits = [(cut, h) for h in reversed(HORIZONS) for cut in (learnt_by(origin, h), origin)]
    boosted.learn(fits, asked.workers, stage("models", len(fits)))
    totals = {h: boosted.totals(origin, h) for h in HORIZONS}
    return totals, {h: calibrated(boosted, origin, h, totals[h]) for h in HORIZONS}


def _other(
    panels: Panels, asked: Asked, method: str, stage: Stage
) -> tuple[dict[int, Floats], dict[int, Bounds]]:
    """Return the totals and bounds by another method; intervals from its own earlier forecasts."""
    chosen, told = METHODS[CHOICES[method]], stage("series", None)

    def made(cut: int) -> Floats:
        pool = asked.workers if chosen.slow else 1
        return ahead(panels.at(cut), chosen, LONGEST, processes=pool, told=told)

    now = made(asked.origin)
    earlier = [asked.origin - LONGEST - WEEK * week for week in range(_CUTS[chosen.slow])]
    before = {cut: made(cut) for cut in earlier if cut >= panels.first + LEAST_DAYS}
    totals, bounds = {}, {}
    for h in HORIZONS:
        totals[h] = now[:, :h].sum(axis=1)
        came = [panels.sold(cut, cut + h, asked.origin).sum(axis=1) for cut in before]
        made_then = [one[:, :h].sum(axis=1) for one in before.values()]
        bounds[h] = learnt(made_then, came).bounds(totals[h])
    return totals, bounds


def _factors(asked: Asked, item: str, category: str | None) -> Floats:
    """Return the uplift of an item on each of the next days."""
    if not asked.uplifts.given:
        return np.ones(LONGEST)
    days = (day_of(asked.origin + day) for day in range(LONGEST))
    return np.array([asked.uplifts.factor(item, category, day) for day in days])


def _ratio(shares: Floats, factors: Floats) -> float:
    """Return what uplifts make of a total over the days that have these shares of it."""
    there = factors[: len(shares)]
    return float((shares * there).sum()) if shares.any() and (there != 1).any() else 1.0


def _bound(
    bounds: dict[int, Bounds], level: int, side: int, place: int, ratios: dict[int, float]
) -> tuple[float, ...]:
    return tuple(float(bounds[h][level][side][place]) * ratios[h] for h in HORIZONS)


def _version(panels: Panels, origin: int, method: str) -> str:
    """Return the digest of a method's declaration and of the sales known at the origin."""
    declared = (PARAMETERS, ROUNDS, NAMES) if method == OURS else method
    digest = hashlib.sha256(json.dumps(declared, sort_keys=True).encode())
    sales = panels.sales.before(origin)
    # Not places among all items: those of an item change with what is first sold later.
    known, item = np.unique(sales.item, return_inverse=True)
    for column in (item, sales.day, sales.units, sales.price, sales.known):
        digest.update(np.ascontiguousarray(column).tobytes())
    digest.update("\0".join(sales.items[place] for place in known).encode())
    return f"{method}-{digest.hexdigest()[:12]}"


def _levels(panels: Panels, asked: Asked, totals: dict[int, Floats]) -> dict[str, Any]:
    """Return the units over the longest horizon by items, categories and the sum, before uplifts.

    Each level is forecast for itself, so they need not add up; `gap` says by how much they don't:
    the items' sum over the level's own forecast, less 1.
    """
    panel = panels.at(asked.origin)
    of = [asked.categories.get(name, "") for name in panels.sales.items]
    names, codes = np.unique(np.array(of, object), return_inverse=True)
    found = {"total": _level(panels, asked, totals, np.ones(len(of), bool)), "categories": {}}
    sold = np.bincount(codes, panel.units.sum(axis=1), minlength=len(names))
    for place in np.argsort(-sold, kind="stable")[:_MOST_CATEGORIES]:
        if names[place]:
            found["categories"][names[place]] = _level(panels, asked, totals, codes == place)
    return found


def _level(panels: Panels, asked: Asked, totals: dict[int, Floats], chosen: Any) -> dict[str, Any]:
    panel = panels.at(asked.origin)
    own = float(aggregate.ahead(panel, panel.units[chosen].sum(axis=0), LONGEST).sum())
    items = float(totals[LONGEST][chosen].sum())
    gap = items / own - 1 if own else None
    return {
        "units": round(own, 1),
        "items_sum": round(items, 1),
        "gap": None if gap is None else round(gap, 4),
        "adds_up": gap is not None and abs(gap) <= _TOLERANCE,
    }

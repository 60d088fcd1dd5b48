"""Say what to order of an item, and which price to think about."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.inventory.demand import Rate

THRESHOLD, LEAD_DAYS, REVIEW_DAYS = 100.0, 7.0, 7.0
Z_95 = 1.6448536269514722
"""Of twenty times that an item is ordered, stock lasts until the delivery in nineteen."""
STEP, REACH = 0.1, 0.2
"""A price changes by a tenth at most at once, and by a fifth where no bound is set."""
MOST = 1e9
"""What a term is taken for at most: nothing that follows from it is infinite."""
PLENTY = 4.0
"""Stock for so many times the days until the next delivery but one is too much."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms agreed for an item; those that nobody set are the shop's defaults, or unknown."""

    threshold: float = THRESHOLD
    lead_days: float = LEAD_DAYS
    pack: float = 1.0
    price: float | None = None
    price_least: float | None = None
    price_most: float | None = None

    @classmethod
    def of(cls, level: Mapping[str, Any]) -> Terms:
        """Return the terms that a StockLevel carries, `MOST` at most; a negative one is none."""
        given = {name: level[f"{name}_now"] for name in cls.__dataclass_fields__}
        known = {
            name: min(one, MOST) for name, one in given.items() if one is not None and one >= 0
        }
        return cls(**{**known, "pack": max(1.0, known.get("pack", 1.0))})


@dataclass(frozen=True, slots=True)
class Reorder:
    """Units to order now, 0 if nothing is due: below `point`, up to `target`."""

    quantity: int
    point: float
    target: float


def reorder(level: float, sells: Rate, terms: Terms) -> Reorder:
    """Return what to order by the rule (s, S): at the reorder point s, up to S.

    s lasts for the lead time in nineteen cases of twenty, S for a review period longer. What is
    already on its way is not known.
    """
    point = sells.most(terms.lead_days, Z_95)
    target = sells.most(terms.lead_days + REVIEW_DAYS, Z_95)
    due = level <= point and target > level
    packs = math.ceil((target - level) / terms.pack) if due else 0
    return Reorder(int(packs * terms.pack), point, target)


@dataclass(frozen=True, slots=True)
class PriceSuggestion:
    """A price to think about, within its bounds, and why. Nobody has set it."""

    price: float
    least: float
    most: float
    reason: str


def suggest_price(level: float, sells: Rate, terms: Terms) -> PriceSuggestion | None:
    """Return a price by cover and trend; None where no price is known, or nothing is in stock.

    Raise it for what runs out before a delivery could come and does not sell worse; lower it for
    what lies for long and does not sell better. The present price counts where it is out of bounds
    only as far as its nearer bound.
    """
    price = terms.price
    if price is None or price <= 0 or level <= 0:
        return None
    least = price * (1 - REACH) if terms.price_least is None else terms.price_least
    most = max(least, price * (1 + REACH) if terms.price_most is None else terms.price_most)
    change, reason = _change(level, sells, terms)
    return PriceSuggestion(_cents(price * (1 + change), least, most), least, most, reason)


def _change(level: float, sells: Rate, terms: Terms) -> tuple[float, str]:
    trend, horizon = sells.trend, terms.lead_days + REVIEW_DAYS
    if sells.per_day <= 0 or trend is None:
        return -STEP, "nothing was sold in the last 28 days"
    cover = level / sells.per_day
    told = f"stock lasts {cover:.1f} days at {sells.per_day:.2f} units a day"
    if cover < terms.lead_days:
        if trend < 0.8:
            return 0.0, f"{told}, less than a delivery takes, but demand falls"
        return STEP * (1 - cover / terms.lead_days), (
            f"{told}, a delivery takes {terms.lead_days:g}, and demand does not fall"
        )
    if cover > PLENTY * horizon:
        if trend > 1.25:
            return 0.0, f"{told}, more than needed, but demand rises"
        return -STEP * min(1.0, cover / (PLENTY * horizon) - 1), (
            f"{told}, {horizon:g} are needed, and demand does not rise"
        )
    return 0.0, f"{told}, which suits a delivery time of {terms.lead_days:g}"


def _cents(price: float, least: float, most: float) -> float:
    """Return the price in whole cents, within the bounds even where those are not whole."""
    return min(max(round(price, 2), least), most)

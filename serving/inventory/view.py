"""Put together what the API says of an item, from what is stored of it, as of now."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from domain.inventory.demand import DAY_MS, RunOut
from domain.inventory.forecast import run_out_by
from domain.inventory.policy import reorder, suggest_price
from domain.inventory.watch import Stock, stock
from domain.times import iso

Document = dict[str, Any]
_DEMAND = ("demand_1h", "demand_24h", "demand_7d", "demand_28d", "demand_squared", "demand_at")


@dataclass(frozen=True, slots=True)
class Stored:
    """The store's records of an item, as they are on their topics; times in ms."""

    level: Document
    sale: Document | None = None
    count: Document | None = None
    forecast: Document | None = None

    def newest(self) -> Document:
        """Return the StockLevel with the demand that the newest sale knows."""
        if self.sale is None or (self.level["demand_at"] or 0) > self.sale["event_time"]:
            return self.level
        return {**self.level, **{name: self.sale[name] for name in _DEMAND}}


def present(level: Mapping[str, Any], wall_ms: int) -> int:
    """Return the item's time now: the time of its newest entry, and what has passed since it came.

    For events of now that is the wall's time; a replay of old ones goes on from where it stands.
    """
    newest = max(level["event_time"], int(level["demand_at"] or 0))
    return int(newest + max(0, wall_ms - level["produced_at"]))


def _limited(now: Stock) -> bool:
    if now.level is None:
        return False
    days = None if now.lasts is None else now.lasts.days
    soon = days is not None and days < now.terms.lead_days
    return soon or now.level < now.terms.threshold


def document(stored: Stored, wall_ms: int) -> Document:
    """Return the item's document."""
    newest = stored.newest()
    moment = present(newest, wall_ms)
    now = stock(newest, moment)
    known = now.level is not None
    return {
        "item_id": newest["item_id"],
        "state": "known" if known else "unknown",
        "level": now.level,
        "negative": known and (now.level or 0) < 0,
        "at_risk": bool(newest["alerts"]) or _limited(now),
        "as_of": iso(newest["event_time"]),
        "last_entry": {
            "entry_id": newest["entry_id"],
            "kind": newest["kind"],
            "quantity": newest["quantity"],
        },
        "terms": asdict(now.terms),
        "demand": _demand(newest, now),
        "run_out": _run_out(now.lasts, moment),
        "alerts": [{**one, "opened_at": iso(one["opened_at"])} for one in newest["alerts"]],
        "reorder": _reorder(now),
        "price_suggestion": _price(now),
        "last_count": _count(stored.count),
        "late_units": newest["late_units"] or 0.0,
        "forecast": _forecast(stored.forecast, now.level, moment),
    }


def _demand(level: Document, now: Stock) -> Document:
    sold = {f"sold_{name}": level[f"demand_{name}"] or 0.0 for name in ("1h", "24h", "7d", "28d")}
    at = level["demand_at"]
    return {
        **sold,
        "as_of": None if at is None else iso(int(at)),
        "units_a_day": now.sells.per_day,
        "trend": now.sells.trend,
        "days_known": now.sells.days,
    }


def _run_out(lasts: RunOut | None, moment: int) -> Document | None:
    if lasts is None:
        return None
    at = None if lasts.days is None else _date(moment + lasts.days * DAY_MS)
    return {**asdict(lasts), "at": at}


def _date(when: float) -> str | None:
    try:
        return iso(math.floor(when))
    except OverflowError:  # after the year 9999
        return None


def _reorder(now: Stock) -> Document | None:
    return None if now.level is None else asdict(reorder(now.level, now.sells, now.terms))


def _price(now: Stock) -> Document | None:
    found = None if now.level is None else suggest_price(now.level, now.sells, now.terms)
    return None if found is None else {"is_suggestion": True, **asdict(found)}


def _count(record: Document | None) -> Document | None:
    if record is None:
        return None
    expected = record["expected"]
    return {
        "at": iso(record["event_time"]),
        "counted": record["quantity"],
        "expected": expected,
        "difference": None if expected is None else record["quantity"] - expected,
    }


def _forecast(record: Document | None, level: float | None, moment: int) -> Document | None:
    if record is None:
        return None
    lasts = None if level is None else run_out_by(record, level, moment)
    names = ("horizon_days", "units", "lower_80", "upper_80", "uplift", "is_new", "method")
    return {
        "made_at": iso(record["made_at"]),
        "origin": iso(record["origin"]),
        "age_days": (moment - record["origin"]) / DAY_MS,
        "run_out": _run_out(lasts, moment),
        **{name: record[name] for name in names},
    }

"""Tell of an item's stock once as it crosses a limit, and once as it is well behind it again.

An alert opens at its limit and clears some way beyond it, so that a level that goes to and fro
about the limit is told of once. What is told follows from the entries of the log alone, and so do
the ids of alerts: the item, the kind, and the place of the entry that opened it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from domain.alerts.episodes import MOMENT
from domain.events import Alert, AlertState, Severity
from domain.inventory.demand import Demand, Rate, RunOut, rate, run_out
from domain.inventory.policy import Terms

PRODUCT = "inventory"
LOW, RUNS_OUT, NEGATIVE = "LOW_STOCK", "RUNS_OUT", "NEGATIVE_STOCK"
DISAGREES = "COUNT_DISAGREES"
KINDS = (LOW, RUNS_OUT, NEGATIVE)
SEVERITY: Mapping[str, Severity] = {LOW: "warning", RUNS_OUT: "warning", NEGATIVE: "critical"}
MARGIN = {LOW: 0.1, RUNS_OUT: 0.25}
"""An alert clears at its limit and so much of it more."""
_TOLERATED, _SHARE = 5.0, 0.05


@dataclass(frozen=True, slots=True)
class Opened:
    """An open alert: the place in the log at which it opened, and that entry's time."""

    sequence: int
    at: int


Watched = Mapping[str, Opened]
"""The open alerts of an item, by kind."""


@dataclass(frozen=True, slots=True)
class Stock:
    """An item as a StockLevel tells of it, at `now` (ms)."""

    level: float | None
    terms: Terms
    sells: Rate
    lasts: RunOut | None


def stock(level: Mapping[str, Any], now: int | None = None) -> Stock:
    """Return what a StockLevel means at `now`; without, at its own time."""
    demand = demand_of(level)
    sells = rate(demand, max(level["event_time"], demand.at) if now is None else now)
    units = level["level"]
    lasts = None if units is None else run_out(units, sells)
    return Stock(units, Terms.of(level), sells, lasts)


def demand_of(level: Mapping[str, Any]) -> Demand:
    """Return the demand that a StockLevel carries; one for what was never sold is 0."""
    first = int(level["event_time"] if level["first_at"] is None else level["first_at"])
    if level["demand_at"] is None:
        return Demand(level["event_time"], first)
    units = tuple(float(level[f"demand_{name}"] or 0.0) for name in ("1h", "24h", "7d", "28d"))
    one, day, week, month = units
    squared = float(level["demand_squared"] or 0.0)
    return Demand(int(level["demand_at"]), first, (one, day, week, month), squared)


def watch(level: Mapping[str, Any], before: Watched) -> tuple[Watched, tuple[Alert, ...]]:
    """Return the open alerts after an entry of the log, and what there is to tell.

    A late entry, and one of an item without a book, changes nothing.
    """
    if level["late"] or level["level"] is None:
        return before, ()
    now = stock(level)
    after, told = dict(before), list(_disagreement(level))
    for kind in KINDS:
        opens, clears = _limits(kind, now)
        opened = before.get(kind)
        if opened is None and opens:
            after[kind] = Opened(level["sequence"], level["event_time"])
            told.append(_alert(level, now, kind, after[kind], "open"))
        elif opened is not None and clears:
            del after[kind]
            told.append(_alert(level, now, kind, opened, "cleared"))
    return after, tuple(told)


def alert_id(level: Mapping[str, Any], kind: str, sequence: int) -> str:
    """Return the id of an alert that opened at that place of the log."""
    return f"stock/{level['item_id']}/{kind}/{level['partition']}-{sequence}"


def _limits(kind: str, now: Stock) -> tuple[bool, bool]:
    """Return whether a kind of alert opens here, and whether it clears."""
    units, terms = now.level or 0.0, now.terms
    if kind == NEGATIVE:
        return units < 0, units >= 0
    if kind == LOW:
        return units < terms.threshold, units >= _behind(LOW, terms.threshold)
    days = None if now.lasts is None else now.lasts.days
    if days is None:
        return False, True
    return days < terms.lead_days, days >= _behind(RUNS_OUT, terms.lead_days)


def _behind(kind: str, limit: float) -> float:
    return limit + limit * MARGIN[kind]


def _alert(
    level: Mapping[str, Any], now: Stock, kind: str, opened: Opened, state: AlertState
) -> Alert:
    return Alert(
        alert_id=alert_id(level, kind, opened.sequence),
        entity=level["item_id"],
        # An entry out of order must not be older than what opened the alert.
        event_time=max(level["event_time"], opened.at),
        kind=kind,
        severity=SEVERITY[kind],
        message=_message(level, now, kind, state),
        details=_details(level, now),
        state=state,
        opened_at=opened.at,
        product=PRODUCT,
    )


def _message(level: Mapping[str, Any], now: Stock, kind: str, state: AlertState) -> str:
    item, units = level["item_id"], f"{now.level:g}"
    if kind == NEGATIVE:
        told = "more was sold than there was" if state == "open" else "its book is right again"
        return f"{item}: {units} in stock, {told}"
    if kind == LOW:
        limit = f"{now.terms.threshold:g}"
        return f"{item}: {units} in stock, {'below' if state == 'open' else 'limit'} {limit}"
    days = now.lasts.days if now.lasts else None
    lasts = "sells no more" if days is None else f"lasts {days:.1f} days"
    return f"{item}: {units} in stock, {lasts}, a delivery takes {now.terms.lead_days:g}"


def _details(level: Mapping[str, Any], now: Stock) -> dict[str, str]:
    days = now.lasts.days if now.lasts else None
    return {
        "level": f"{now.level:g}",
        "threshold": f"{now.terms.threshold:g}",
        "lead_days": f"{now.terms.lead_days:g}",
        "units_a_day": f"{now.sells.per_day:.3f}",
        **({} if days is None else {"days_left": f"{days:.2f}"}),
        "entry": level["entry_id"],
    }


def _disagreement(level: Mapping[str, Any]) -> Iterator[Alert]:
    """Tell of a count that differs from the book by more than shelves usually do."""
    expected = level["expected"]
    if expected is None:
        return
    difference = level["level"] - expected
    if abs(difference) <= max(_TOLERATED, _SHARE * abs(expected)):
        return
    yield Alert(
        alert_id=alert_id(level, DISAGREES, level["sequence"]),
        entity=level["item_id"],
        event_time=level["event_time"],
        kind=DISAGREES,
        severity="warning",
        message=f"{level['item_id']}: {level['level']:g} were counted where the book had "
        f"{expected:g}",
        details={
            MOMENT: "true",
            "difference": f"{difference:g}",
            "entry": level["entry_id"],
        },
        state="cleared",
        opened_at=level["event_time"],
        product=PRODUCT,
    )

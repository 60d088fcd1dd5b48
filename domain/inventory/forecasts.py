"""What a forecast of demand is: its horizons, and the uplifts that people set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

HORIZONS = (7, 14, 28)
"""Days that forecasts are made for, ascending; whole weeks."""
NEW_DAYS = 28
"""An item first sold less than this many days ago is new."""
MOST = 100.0
"""Largest uplift."""

Of = Literal["item", "category"]


@dataclass(frozen=True, slots=True)
class Uplift:
    """A factor on the forecasts of an item, or of a category's items, that a person set.

    It holds on days from `begin` up to and with `end`; on all days if they are None.
    """

    of: Of
    name: str
    factor: float
    begin: date | None = None
    end: date | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for what is no uplift."""
        if self.of not in ("item", "category"):
            raise ValueError(f"an uplift is of an item or a category, not of {self.of!r}")
        if not self.name:
            raise ValueError("an uplift needs the name of an item or a category")
        if not (math.isfinite(self.factor) and 0 <= self.factor <= MOST):
            raise ValueError(f"an uplift is a factor from 0 to {MOST:g}, not {self.factor:g}")
        if self.begin and self.end and self.end < self.begin:
            raise ValueError("an uplift ends before it begins")

    def on(self, day: date) -> bool:
        """Return whether it holds on a day."""
        return (self.begin is None or self.begin <= day) and (self.end is None or day <= self.end)

    def document(self) -> dict[str, Any]:
        """Return it as a file holds it."""
        told: dict[str, Any] = {self.of: self.name, "factor": self.factor}
        told |= {} if self.begin is None else {"from": self.begin}
        told |= {} if self.end is None else {"until": self.end}
        return told | ({"reason": self.reason} if self.reason else {})


def uplift_of(document: Mapping[str, Any]) -> Uplift:
    """Invert `Uplift.document`. Raise ValueError for what is no uplift."""
    known = {"item", "category", "factor", "from", "until", "reason"}
    if unknown := sorted(set(map(str, document)) - known):
        raise ValueError(f"unknown: {', '.join(unknown)}")
    every: tuple[Of, ...] = ("item", "category")
    kinds = [one for one in every if one in document]
    if len(kinds) != 1:
        raise ValueError("an uplift is of one item or of one category")
    try:
        factor = float(document["factor"])
    except (KeyError, TypeError, ValueError):
        raise ValueError("an uplift needs a factor, a number") from None
    days = [document.get("from"), document.get("until")]
    if any(one is not None and type(one) is not date for one in days):
        raise ValueError("from and until are dates, as in 2026-12-24")
    reason = str(document.get("reason", ""))
    return Uplift(kinds[0], str(document[kinds[0]]), factor, days[0], days[1], reason)


@dataclass(frozen=True, slots=True)
class Uplifts:
    """All uplifts. On one day an item's own counts before its category's, the last one first."""

    given: Sequence[Uplift] = field(default_factory=tuple)

    def factor(self, item: str, category: str | None, day: date) -> float:
        """Return the factor of an item on a day; 1 where nobody set one."""
        for of, name in (("item", item), ("category", category)):
            for one in reversed(self.given):
                if one.of == of and one.name == name and one.on(day):
                    return one.factor
        return 1.0

    def set(self, uplift: Uplift) -> Uplifts:
        """Return these with another one, in place of any of the same name and days."""
        return Uplifts((*self._others(uplift), uplift))

    def without(self, of: Of, name: str) -> Uplifts:
        """Return these without those of an item or a category."""
        return Uplifts(tuple(one for one in self.given if (one.of, one.name) != (of, name)))

    def _others(self, uplift: Uplift) -> tuple[Uplift, ...]:
        def key(one: Uplift) -> tuple[Any, ...]:
            return one.of, one.name, one.begin, one.end

        return tuple(one for one in self.given if key(one) != key(uplift))

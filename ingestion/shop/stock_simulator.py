"""Simulate a stock room: items that sell, deliveries that come, and mistakes that people make.

The truth is kept beside the book: units break unseen, and a delivery may not be told. A count finds
such things, so that counts disagree and levels fall below zero now and then, as they do. The same
seed makes the same stock room.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from domain.events import ShopEvent, StockMovement

Happening = ShopEvent | StockMovement
Kind = Literal["delivery", "correction", "count", "terms"]

_CANCELLED, _BROKEN, _UNTOLD = 0.03, 0.02, 0.05
_COUNTED = 0.02
_PACKS = (1, 6, 12)


@dataclass(frozen=True, slots=True)
class Room:
    """Number of items, entries a second, and the moment at which it begins (ms)."""

    items: int = 200
    rate: float = 20.0
    seed: int = 1
    start_ms: int = 1_735_689_600_000


class StockRoom:
    """Make what happens, one thing after the other."""

    def __init__(self, room: Room) -> None:
        self._room, self._dice = room, random.Random(room.seed)
        # A few items sell most, as they do.
        self._popular = [1.0 / (number + 3) for number in range(room.items)]
        self._truth = [self._dice.randint(80, 600) for _ in range(room.items)]
        self._ordered: dict[int, tuple[int, int]] = {}
        """Of each item that was ordered: when it comes, in steps, and how many."""
        self._price = [round(self._dice.uniform(1, 60), 2) for _ in range(room.items)]
        self._number = 0

    def happenings(self) -> Iterator[Happening]:
        """Yield the opening of every book, then sales and movements without end."""
        for item in range(self._room.items):
            yield self._move(item, "delivery", self._truth[item])
            if item % 4 == 0:
                yield self._terms(item)
        for step in count():
            due = [item for item, (when, _) in self._ordered.items() if when <= step]
            for item in due:
                yield from self._delivered(item)
            yield self._something(step)

    def _something(self, step: int) -> Happening:
        (item,) = self._dice.choices(range(self._room.items), self._popular)
        if self._dice.random() < _BROKEN:
            self._truth[item] = max(0, self._truth[item] - self._dice.randint(1, 8))
        if self._dice.random() < _COUNTED:
            return self._move(item, "count", self._truth[item])
        if self._truth[item] <= 0:
            self._order(item, step)
            return self._move(item, "count", 0)
        sold = self._sold(item)
        if self._truth[item] < 60:
            self._order(item, step)
        return sold

    def _sold(self, item: int) -> ShopEvent:
        units = min(self._truth[item], self._dice.choice((1, 1, 1, 2, 3, 6)))
        cancelled = self._dice.random() < _CANCELLED
        self._truth[item] += units if cancelled else -units
        when = self._next()
        return ShopEvent(
            event_id=f"stock-{self._room.seed}-{self._number}",
            event_type="cancellation" if cancelled else "transaction",
            event_time=when,
            user_id=f"buyer-{self._dice.randrange(500)}",
            item_id=_name(item),
            transaction_id=f"stock-order-{self._room.seed}-{self._number}",
            price=self._price[item],
            quantity=units,
        )

    def _order(self, item: int, step: int) -> None:
        if item not in self._ordered:
            pack = _PACKS[item % len(_PACKS)]
            units = pack * (self._dice.randint(100, 400) // pack)
            self._ordered[item] = (step + self._dice.randint(50, 400), units)

    def _delivered(self, item: int) -> Iterator[Happening]:
        _, units = self._ordered.pop(item)
        self._truth[item] += units
        if self._dice.random() >= _UNTOLD:
            yield self._move(item, "delivery", units)

    def _terms(self, item: int) -> StockMovement:
        when = self._next()
        return StockMovement(
            movement_id=f"stock-{self._room.seed}-{self._number}",
            item_id=_name(item),
            event_time=when,
            kind="terms",
            threshold=float(self._dice.choice((20, 50, 150))),
            lead_days=float(self._dice.randint(2, 14)),
            pack=float(_PACKS[item % len(_PACKS)]),
            price=self._price[item],
            price_least=round(self._price[item] * 0.9, 2),
            price_most=round(self._price[item] * 1.15, 2),
        )

    def _move(self, item: int, kind: Kind, units: int) -> StockMovement:
        when = self._next()
        return StockMovement(
            movement_id=f"stock-{self._room.seed}-{self._number}",
            item_id=_name(item),
            event_time=when,
            kind=kind,
            quantity=units,
        )

    def _next(self) -> int:
        """Count one thing more; return when it happens."""
        self._number += 1
        return self._room.start_ms + round(self._number * 1000 / self._room.rate)


def _name(item: int) -> str:
    return f"item-{item}"

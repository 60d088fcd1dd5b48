"""Simulate a shop's visitors and three kinds of order fraud, with the truth about each order line.

Visitors look, put items into the cart and order with their own card to their own address; now and
then they order a gift, with a new card, several items at once, or cancel. Among them:

- stolen accounts: a visitor's account orders dear items to a new address after few views;
- card testing: a new account orders cheap items within minutes, each with another card;
- refund abuse: an account orders often and cancels most of it.

The shares are larger than a shop's, so that a model has something to learn from within minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from domain.events import ShopEvent

DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS = 86_400_000, 3_600_000, 60_000, 1000
START_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z
CHEAP = 12.0
"""Card testers order items below this price."""

Fraud = Literal["stolen_account", "card_testing", "refund_abuse"]


@dataclass(frozen=True, slots=True)
class Shop:
    """The size of the shop, and how much fraud there is: incidents for each hundred visitors."""

    visitors: int = 2000
    items: int = 400
    days: int = 60
    seed: int = 1
    start_ms: int = START_MS
    stolen: float = 1.5
    testers: float = 0.6
    abusers: float = 0.6


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, and for an order line of a fraudster which kind of fraud it is."""

    event: ShopEvent
    fraud: Fraud | None = None


@dataclass(frozen=True, slots=True)
class _Buyer:
    """A visitor who orders in a session, with card, address and kind of fraud, if any."""

    who: str
    session: str
    card: str
    address: str
    fraud: Fraud | None = None


class OrderSimulator:
    """Draw a shop's events. The same shop gives the same events."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._random = shop, np.random.default_rng(shop.seed)
        self._prices = np.round(np.exp(self._random.normal(3.2, 0.9, shop.items)), 2)
        self._dear = np.argsort(self._prices)[-max(1, shop.items // 10) :]
        cheap = np.flatnonzero(self._prices < CHEAP)
        self._cheap = cheap if len(cheap) else np.argsort(self._prices)[:1]
        self._orders = self._cards = 0

    def events(self) -> list[Happened]:
        """Return all events in order of time."""
        shop = self._shop
        found: list[Happened] = []
        for number in range(shop.visitors):
            found.extend(self._visitor(number))
        for number in range(self._incidents(shop.stolen)):
            found.extend(self._stolen(int(self._random.integers(shop.visitors)), number))
        for number in range(self._incidents(shop.testers)):
            found.extend(self._tester(number))
        for number in range(self._incidents(shop.abusers)):
            found.extend(self._abuser(number))
        end = shop.start_ms + shop.days * DAY_MS
        found = [one for one in found if one.event.event_time < end]
        found.sort(key=lambda one: one.event.event_time)
        return found

    def _incidents(self, share: float) -> int:
        return max(1, round(self._shop.visitors * share / 100))

    def _visitor(self, number: int) -> Iterator[Happened]:
        random, who = self._random, f"v{number}"
        for visit in range(int(random.poisson(self._shop.days / 7))):
            session = f"{who}-{visit}"
            at = self._moment()
            gift, new_card = random.random() < 0.08, random.random() < 0.04
            card = self._card() if new_card else f"card-{who}"
            address = f"gift-{session}" if gift else f"home-{who}"
            for item in random.integers(self._shop.items, size=1 + random.geometric(0.25)):
                at += int(random.exponential(50) * SECOND_MS) + SECOND_MS
                yield self._event("view", who, f"{session}-{at}", at, int(item))
                if random.random() < 0.25:
                    at += 5 * SECOND_MS
                    yield self._event("addtocart", who, f"{session}-{at}", at, int(item))
                    if random.random() < 0.5:
                        lines = [int(item)] * (1 + int(random.random() < 0.1))
                        yield from self._order(_Buyer(who, session, card, address), at, lines)
                        if random.random() < 0.05:
                            later = at + int(random.exponential(2) * DAY_MS)
                            yield self._event("cancellation", who, f"{session}-c{at}", later, item)

    def _stolen(self, number: int, incident: int) -> Iterator[Happened]:
        random, who, session = self._random, f"v{number}", f"s{incident}"
        at = self._moment()
        for _ in range(int(random.integers(0, 3))):
            at += 20 * SECOND_MS
            yield self._event("view", who, f"{session}-{at}", at, int(random.choice(self._dear)))
        for _ in range(int(random.integers(1, 5))):
            at += int(random.integers(15, 180)) * SECOND_MS
            lines = [int(one) for one in random.choice(self._dear, size=random.integers(1, 3))]
            buyer = _Buyer(who, session, f"card-{who}", f"drop-{incident}", "stolen_account")
            yield from self._order(buyer, at, lines)

    def _tester(self, incident: int) -> Iterator[Happened]:
        random, who, at = self._random, f"t{incident}", self._moment()
        for _ in range(int(random.integers(5, 16))):
            at += int(random.integers(10, 90)) * SECOND_MS
            lines = [int(random.choice(self._cheap))]
            buyer = _Buyer(who, who, self._card(), f"home-{who}", "card_testing")
            yield from self._order(buyer, at, lines)

    def _abuser(self, incident: int) -> Iterator[Happened]:
        random, who, at = self._random, f"a{incident}", self._moment()
        for number in range(int(random.integers(8, 20))):
            session = f"a{incident}-{number}"
            for _ in range(int(random.integers(1, 6))):
                at += 30 * SECOND_MS
                item = int(random.integers(self._shop.items))
                yield self._event("view", who, f"{session}-{at}", at, item)
            # The first orders of an abuser are those of anybody.
            fraud: Fraud | None = "refund_abuse" if number >= 3 else None
            buyer = _Buyer(who, session, f"card-{who}", f"home-{who}", fraud)
            yield from self._order(buyer, at, [item])
            if random.random() < 0.75:
                later = at + int(random.integers(1, 30)) * HOUR_MS
                yield self._event("cancellation", who, f"{session}-c", later, item)
            at += int(random.exponential(1.5) * DAY_MS)

    def _order(self, buyer: _Buyer, at: int, lines: list[int]) -> Iterator[Happened]:
        self._orders += 1
        order = f"o{self._orders}"
        for place, item in enumerate(lines):
            event = ShopEvent(
                event_id=f"{buyer.session}-{order}-{place}",
                event_type="transaction",
                event_time=at + 10 * SECOND_MS,
                user_id=buyer.who,
                item_id=f"i{item}",
                transaction_id=order,
                price=float(self._prices[item]),
                quantity=1 + int(self._random.random() < 0.1),
                payment_card=buyer.card,
                address=buyer.address,
            )
            yield Happened(event, buyer.fraud)

    def _event(self, kind: str, who: str, name: str, at: int, item: int) -> Happened:
        event = ShopEvent(
            event_id=f"{name}-{kind}",
            event_type=kind,
            event_time=at,
            user_id=who,
            item_id=f"i{item}",
            price=float(self._prices[item]),
        )
        return Happened(event)

    def _card(self) -> str:
        self._cards += 1
        return f"new-card-{self._cards}"

    def _moment(self) -> int:
        """Return a moment of the simulated days, by day rather than by night."""
        day = int(self._random.integers(self._shop.days))
        hour = float(np.clip(self._random.normal(15, 4), 0, 23.9))
        return self._shop.start_ms + day * DAY_MS + int(hour * HOUR_MS)

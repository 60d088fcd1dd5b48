"""Stock that is delivered, sold, corrected and counted; its book is kept again here, literally.

The group is off by default: `MILLRACE_GROUPS=core,inventory .venv/bin/pytest
tests/integration/test_survival.py -k every_part` runs the round on it.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

import orjson

from domain.events import ShopEvent, StockEntry, StockMovement
from domain.features.graph import Place
from domain.features.twin import Twin
from domain.inventory.features import GRAPH
from serving.inventory import keys
from tests.integration.exercises import Exercise, Hands, Poison
from tests.integration.exercises.poisons import of_the_wire, refused
from tests.integration.parts import ends, messages, read, through, until

JOB, CONSUMER = "inventory", "stock"
SHOP, MOVEMENTS, LOG, LEVELS, ALERTS = (
    "shop-events",
    "stock-movements",
    "stock-log",
    "stock-levels",
    "alerts",
)
ITEMS, COUNTED = 48, 8
"""Of so many items the first few are counted now and then, so that the order matters to them.

So many that none has more than the 4,096 entries of a tile whose ids `rolling` remembers.
"""
OPENED, STEP_MS, UNORDERED_MS = 150, 20, 60_000
TILE_MS, DAY_MS = 300_000, 86_400_000
LIMIT, BACK = 100, 110
AHEAD = 4_000_000_000_000


def exercise(hands: Hands) -> Exercise:
    """Return the stock's part, on items of its own."""
    began = {topic: ends(hands.stack, topic) for topic in (LOG, LEVELS, ALERTS)}
    return Stock(hands, time.time_ns() // 1_000_000 - DAY_MS, began)


@dataclass
class Stock:
    """What has been sent so far."""

    hands: Hands
    start: int
    began: dict[str, dict[int, int]]
    rate: int = 100
    good: int = 100_000
    served: bool = True
    """Whether the API has the product's routes."""
    sales: list[ShopEvent] = field(default_factory=list)
    movements: list[StockMovement] = field(default_factory=list)
    repeats: int = 0

    @property
    def sent(self) -> int:
        """Return how many records it has sent."""
        return len(self.sales) + len(self.movements) + self.repeats

    def sending(self) -> Iterator[object]:
        """Open every book, then sell and move, every fifteenth time a second time."""
        dice = random.Random(14)
        for number in range(ITEMS):
            # No alert of a stock that does not last: what is told then follows from levels alone.
            terms: dict[str, Any] = {"threshold": float(LIMIT), "lead_days": 0.0}
            self._move(f"terms-{number}", number, "terms", 0, self.start, **terms)
            self._move(f"open-{number}", number, "delivery", OPENED, self.start)
        # What is sold before a book opens is not in it, and the two come by different topics.
        until("the books are open", lambda: len(self._log()) >= 2 * ITEMS)
        for place in count():
            self._step(place, dice)
            if place % 15 == 0:
                self._again(dice)
            yield place

    def _step(self, place: int, dice: random.Random) -> None:
        number, when = dice.randrange(ITEMS), self.start + place * STEP_MS
        when += dice.randrange(UNORDERED_MS)
        draw = dice.random()
        if draw < 0.7:
            kind = "transaction" if dice.random() < 0.95 else "cancellation"
            self._sell(f"{self.hands.run}-{place}", number, kind, dice.randint(1, 9), when)
        elif draw < 0.9:
            self._move(str(place), number, "delivery", dice.randint(1, 36), when)
        elif draw < 0.97:
            self._move(str(place), number, "correction", dice.randint(-20, 10), when)
        else:
            self._move(str(place), number % COUNTED, "count", dice.randint(0, 200), when)

    def _again(self, dice: random.Random) -> None:
        if self.sales:
            self._send_sale(self.sales[dice.randrange(len(self.sales))])
        self._send_movement(self.movements[dice.randrange(len(self.movements))])
        self.repeats += 2

    def _name(self, number: int) -> str:
        return f"{self.hands.run}-i{number}"

    def _sell(self, name: str, number: int, kind: str, units: int, when: int) -> None:
        event = ShopEvent(
            event_id=name,
            event_type=kind,
            event_time=when,
            user_id=f"{self.hands.run}-buyer{units}",
            item_id=self._name(number),
            quantity=units,
            price=2.5,
        )
        self._send_sale(event)
        self.sales.append(event)

    def _move(self, name: str, number: int, kind: Any, units: int, when: int, **terms: Any) -> None:
        movement = StockMovement(
            movement_id=f"{self.hands.run}-{name}",
            item_id=self._name(number),
            event_time=when,
            kind=kind,
            quantity=units,
            **terms,
        )
        self._send_movement(movement)
        self.movements.append(movement)

    def _send_sale(self, event: ShopEvent) -> None:
        value = self.hands.codec.encoder(SHOP).object(event)
        self.hands.sink.send(SHOP, event.user_id, value)

    def _send_movement(self, movement: StockMovement) -> None:
        value = self.hands.codec.encoder(MOVEMENTS).object(movement)
        self.hands.sink.send(MOVEMENTS, movement.item_id, value)

    def poisons(self) -> list[Poison]:
        """Return poison for every topic that the job and the consumer read."""

        def movement(number: int) -> dict[str, Any]:
            return asdict(
                StockMovement(
                    movement_id=f"{self.hands.run}-bad-{number}",
                    item_id=self._name(1),
                    event_time=self.start,
                    kind="correction",
                    quantity=1,
                )
            )

        def sale(number: int) -> dict[str, Any]:
            return asdict(
                ShopEvent(
                    event_id=f"{self.hands.run}-bad-{number}",
                    event_type="transaction",
                    event_time=self.start,
                    user_id=f"{self.hands.run}-buyer1",
                    item_id=self._name(1),
                )
            )

        def written(number: int) -> dict[str, Any]:
            return asdict(
                StockEntry(
                    entry_id=f"{self.hands.run}-bad-{number}",
                    item_id=self._name(1),
                    event_time=self.start,
                    kind="sale",
                    quantity=1,
                    produced_at=self.start,
                )
            )

        return [
            *of_the_wire(self.hands, MOVEMENTS, JOB, movement, "event_time"),
            refused(self.hands, MOVEMENTS, JOB, movement, item_id=""),
            refused(self.hands, MOVEMENTS, JOB, movement, threshold=float("nan")),
            refused(self.hands, MOVEMENTS, JOB, movement, event_time=AHEAD),
            *of_the_wire(self.hands, SHOP, JOB, sale, "event_time"),
            refused(self.hands, SHOP, JOB, sale, item_id=""),
            *of_the_wire(self.hands, LOG, JOB, written, "event_time"),
        ]

    def through(self) -> None:
        """Wait until all is in the log, in the books, and in the store."""
        self.hands.sink.flush(120)
        hops = ((JOB, SHOP), (JOB, MOVEMENTS), (JOB, LOG), (CONSUMER, LEVELS))
        through(self.hands.stack, *hops, timeout=300)

    def verify(self) -> None:
        """Assert that the log has everything once, and that all else follows from its order."""
        log = self._log()
        named = {f"sale/{one.event_id}" for one in self.sales}
        named |= {f"movement/{one.movement_id}" for one in self.movements}
        assert {one["entry_id"] for _, one in log} == named, "none was lost, and none made up"
        self._verify_levels(log)
        books = _books(log)
        stored = {name: orjson.loads(data) for name, data in self.stored().items()}
        for item, book in books.items():
            kept = stored[keys.item(item)]
            assert (kept["level"], kept["sequence"]) == (book.level, book.sequence)
            assert {one["kind"] for one in kept["alerts"]} == book.open.keys()
            assert stored[keys.demand(item)]["demand_24h"] == book.demand()
            if self.served:
                answer = self.hands.api.get(f"/v1/inventory/{item}").raise_for_status().json()
                assert (answer["level"], answer["state"]) == (book.level, "known")
        self._verify_sums(books)
        self._verify_alerts(books)

    def _log(self) -> list[tuple[Place, dict[str, Any]]]:
        """Return the run's entries, each in the place in which it stands first."""
        found: dict[str, tuple[Place, dict[str, Any]]] = {}
        for message in messages(self.hands.stack, LOG, self.began[LOG]):
            if not message.key().decode().startswith(f"{self.hands.run}-i"):
                continue
            record = self.hands.codec.decode(LOG, message.value())
            place = Place(message.partition(), message.offset())
            found.setdefault(record["entry_id"], (place, record))
        return list(found.values())

    def _verify_levels(self, log: list[tuple[Place, dict[str, Any]]]) -> None:
        """Assert that every record on the topic is what the declaration says, however often."""
        twin, expected = Twin(GRAPH), {}
        for place, record in log:
            level = twin.process(GRAPH.row("StockEntry", record, place))
            assert level is not None
            expected[record["entry_id"]] = level
        told = read(self.hands.stack, LEVELS, self.hands.codec, self.began[LEVELS], self._mine)
        assert {one["entry_id"] for one in told} == expected.keys()
        wrong = [one for one in told if one != expected[one["entry_id"]]]
        assert not wrong, f"{len(wrong)} differ: {wrong[0]}, {expected[wrong[0]['entry_id']]}"

    def _verify_sums(self, books: Mapping[str, Book]) -> None:
        """Assert the levels of what is never counted from what was sent, in no order at all."""
        for number in range(COUNTED, ITEMS):
            item = self._name(number)
            moved = sum(one.quantity for one in self.movements if one.item_id == item)
            sold = sum(
                one.quantity if one.event_type == "transaction" else -one.quantity
                for one in self.sales
                if one.item_id == item
            )
            assert books[item].level == moved - sold

    def _verify_alerts(self, books: Mapping[str, Book]) -> None:
        """Assert that each crossing was told, and that what was told again is the same."""
        told = read(self.hands.stack, ALERTS, self.hands.codec, self.began[ALERTS], self._mine)
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for one in told:
            same = found.setdefault((one["alert_id"], one["state"]), one)
            assert same == one, "an alert came again with another content"
        expected = {one for book in books.values() for one in book.told}
        assert found.keys() == expected
        assert len(expected) > 10

    def _mine(self, key: str) -> bool:
        return key.startswith(f"{self.hands.run}-i")

    def stored(self) -> Mapping[str, bytes]:
        """Return what Redis has of the run's items."""
        names = [self._name(number) for number in range(ITEMS)]
        every = [key(name) for name in names for key in (keys.item, keys.demand, keys.count)]
        found = {key: self.hands.client.hget(key, "d") for key in every}
        return {key: data for key, data in found.items() if isinstance(data, bytes)}

    def repeat(self) -> None:
        """Send everything again, the newest first."""
        for sale in reversed(self.sales):
            self._send_sale(sale)
        for movement in reversed(self.movements):
            self._send_movement(movement)


@dataclass
class Book:
    """An item's book, kept by hand."""

    item: str
    level: int = 0
    opened: bool = False
    sequence: int = -1
    open: dict[str, int] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    sold: list[tuple[int, int, int]] = field(default_factory=list)

    def take(self, place: Place, entry: Mapping[str, Any]) -> None:
        """Enter the next entry of the log."""
        kind, units, self.sequence = entry["kind"], entry["quantity"], place.offset
        if kind in ("sale", "cancellation"):
            signed = units if kind == "sale" else -units
            self.sold.append((entry["event_time"], place.offset, signed))
            units = -signed
        if kind == "count":
            difference = units - self.level
            if self.opened and abs(difference) > max(5, abs(self.level) / 20):
                self.told.append((self._id("COUNT_DISAGREES", place), "cleared"))
            self.level, self.opened = units, True
        elif kind == "delivery" and not self.opened:
            self.level, self.opened = units, True
        elif self.opened:
            self.level += units
        if self.opened:
            for name, opens, clears in (
                ("LOW_STOCK", self.level < LIMIT, self.level >= BACK),
                ("NEGATIVE_STOCK", self.level < 0, self.level >= 0),
            ):
                self._cross(name, place, opens=opens, clears=clears)

    def _cross(self, name: str, place: Place, *, opens: bool, clears: bool) -> None:
        if name not in self.open and opens:
            self.open[name] = place.offset
            self.told.append((self._id(name, place), "open"))
        elif name in self.open and clears:
            first = Place(place.partition, self.open.pop(name))
            self.told.append((self._id(name, first), "cleared"))

    def _id(self, name: str, place: Place) -> str:
        return f"stock/{self.item}/{name}/{place.partition}-{place.offset}"

    def demand(self) -> int:
        """Return the units of a day, as the sale saw them whose demand counts."""
        newest = max(self.sold, key=lambda one: (one[0] // TILE_MS, one[1]))
        hour = newest[0] // 3_600_000
        return sum(
            units
            for when, place, units in self.sold
            if place <= newest[1] and hour - 24 < when // 3_600_000 <= hour
        )


def _books(log: list[tuple[Place, dict[str, Any]]]) -> dict[str, Book]:
    books: dict[str, Book] = {}
    by_item = defaultdict(list)
    for place, entry in log:
        by_item[entry["item_id"]].append((place, entry))
    for item, entries in by_item.items():
        books[item] = Book(item)
        for place, entry in sorted(entries, key=lambda one: one[0].offset):
            books[item].take(place, entry)
    return books

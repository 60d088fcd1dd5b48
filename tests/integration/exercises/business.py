"""Visitors of the shop; its minutes are counted again here, literally, from the events sent."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from itertools import count
from typing import Any

import orjson

from domain.events import ShopEvent
from domain.times import document_of
from serving.business import keys
from tests.integration.exercises import Exercise, Hands, Poison
from tests.integration.exercises.poisons import of_the_wire, refused
from tests.integration.parts import ends, read, through

JOB, CONSUMER = "business_metrics", "business"
SOURCE, SINK = "shop-events", "business-metrics"
MINUTE_MS, DAY_MS = 60_000, 86_400_000
EARLIEST = 1_704_067_200_000  # 2024-01-01, after all that other tests look at
STEP_MS, UNORDERED_MS = 250, 90_000
VISITORS, ITEMS = 300, 40
LATEST = EARLIEST + 365 * DAY_MS
AHEAD = 4_000_000_000_000


def exercise(hands: Hands) -> Exercise:
    """Return the shop's part, on minutes that nobody has used before.

    Other tests store minutes of today, and of the far future, where events are refused.
    """
    used = hands.client.zrevrangebyscore(keys.WINDOWS, LATEST, 0, start=0, num=1)
    newest = max((_start(name) for name in used), default=0)
    day = max(EARLIEST, newest) // DAY_MS + 1
    return Shop(hands, day * DAY_MS, ends(hands.stack, SINK))


@dataclass
class Shop:
    """What has been sent so far, in its order and with its repetitions."""

    hands: Hands
    start: int
    began: dict[int, int]
    """Where `business-metrics` ended before."""
    rate: int = 200
    good: int = 20_000
    events: list[ShopEvent] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Return how many records it has sent."""
        return len(self.events)

    def sending(self) -> Iterator[object]:
        """Send events out of their order, and every twentieth a second time, a while later."""
        chance = random.Random(414)
        for place in count():
            self._send(self._event(place, chance))
            if place % 20 == 0:
                self._send(self.events[-min(400, len(self.events))])
            yield place

    def _event(self, place: int, chance: random.Random) -> ShopEvent:
        (kind,) = chance.choices(("view", "addtocart", "transaction"), (80, 12, 8))
        event = ShopEvent(
            event_id=f"{self.hands.run}-{place}",
            event_type=kind,
            event_time=self.start + place * STEP_MS + chance.randrange(UNORDERED_MS),
            user_id=f"{self.hands.run}-v{chance.randrange(VISITORS)}",
            item_id=f"i{chance.randrange(ITEMS)}",
        )
        if kind != "transaction":
            return event
        # An order has about three lines, some of them without a price.
        price = None if chance.random() < 0.1 else round(chance.uniform(0.5, 400), 2)
        order = f"{self.hands.run}-o{place // 36}"
        return replace(event, transaction_id=order, price=price, quantity=chance.randrange(1, 5))

    def _send(self, *events: ShopEvent) -> None:
        encoder = self.hands.codec.encoder(SOURCE)
        for event in events:
            self.hands.sink.send(SOURCE, event.user_id, encoder.object(event))
        self.events += events

    def poisons(self) -> list[Poison]:
        """Return poison for `shop-events`, of orders that would change the first minutes."""

        def order(number: int) -> dict[str, Any]:
            return asdict(
                ShopEvent(
                    event_id=f"{self.hands.run}-bad-{number}",
                    event_type="transaction",
                    event_time=self.start + number % UNORDERED_MS,
                    user_id=f"{self.hands.run}-v1",
                    item_id="i1",
                    transaction_id=f"{self.hands.run}-o1",
                    price=10.0,
                )
            )

        wrong: tuple[dict[str, Any], ...] = (
            {"price": float("nan")},
            {"price": float("-inf")},
            {"user_id": ""},
            {"event_time": self.start * 1000},
            {"event_time": AHEAD},
        )
        return [
            *of_the_wire(self.hands, SOURCE, JOB, order, "event_time"),
            *(refused(self.hands, SOURCE, JOB, order, **changed) for changed in wrong),
        ]

    def through(self) -> None:
        """Wait until the events are counted and the minutes stored."""
        self.hands.sink.flush(120)
        through(self.hands.stack, (JOB, SOURCE), (CONSUMER, SINK), timeout=300)

    def verify(self) -> None:
        """Assert that the topic, Redis and the API have the minutes of the events, no others."""
        minutes = self._minutes()
        assert sum(minute["orders"] for minute in minutes.values()) > 50
        assert any(minute["unpriced_lines"] for minute in minutes.values())
        documents = {start: document_of(minute, keys.TIMES) for start, minute in minutes.items()}
        told = self._told()
        assert told.keys() == minutes.keys()
        for start, versions in told.items():
            most = max(one["events"] for one in versions)
            assert most == minutes[start]["events"]
            full = [one for one in versions if one["events"] == most]
            assert all(one == minutes[start] for one in full), (full, minutes[start])
        kept = {start: orjson.loads(data) for start, data in self.stored().items()}
        wrong = {
            start: (kept.get(start), document)
            for start, document in documents.items()
            if kept.get(start) != document
        }
        assert not wrong, f"{len(wrong)} of {len(documents)} minutes: {list(wrong.items())[:3]}"
        assert kept.keys() == documents.keys()
        assert self._answered() == [documents[start] for start in sorted(documents, reverse=True)]

    def _minutes(self) -> dict[int, dict[str, Any]]:
        """Count what was sent, each event once."""
        by_minute = defaultdict(list)
        for event in {(event.event_id, event.event_time): event for event in self.events}.values():
            by_minute[event.event_time // MINUTE_MS * MINUTE_MS].append(event)
        return {start: _counted(start, events) for start, events in by_minute.items()}

    def _mine(self, start: int) -> bool:
        return self.start <= start < self.start + DAY_MS

    def _told(self) -> dict[int, list[dict[str, Any]]]:
        """Return every version on the topic of each minute of the run."""
        found = defaultdict(list)
        for record in read(self.hands.stack, SINK, self.hands.codec, self.began):
            if self._mine(record["window_start"]):
                found[record["window_start"]].append(record)
        return dict(found)

    def _answered(self) -> list[dict[str, Any]]:
        """Return the run's minutes as the API tells them, newest first."""
        answer = self.hands.api.get("/v1/metrics/business", params={"limit": 1440})
        first, last = (
            document_of({"window_start": bound}, ("window_start",))["window_start"]
            for bound in (self.start, self.start + DAY_MS)
        )
        windows: list[dict[str, Any]] = answer.raise_for_status().json()["windows"]
        return [window for window in windows if first <= window["window_start"] < last]

    def stored(self) -> Mapping[int, bytes]:
        """Return the run's minutes that the index knows, as Redis has them."""
        client, bounds = self.hands.client, (self.start, self.start + DAY_MS - 1)
        starts = [_start(name) for name in client.zrangebyscore(keys.WINDOWS, *bounds)]
        documents = ((start, client.hget(keys.window(keys.member(start)), "d")) for start in starts)
        return {start: data for start, data in documents if isinstance(data, bytes)}

    def repeat(self) -> None:
        """Send the events again, and every told version of the minutes, the oldest last."""
        encoder = self.hands.codec.encoder(SOURCE)
        for event in self.events:
            self.hands.sink.send(SOURCE, event.user_id, encoder.object(event))
        for start, versions in self._told().items():
            for version in reversed(versions):
                value = self.hands.codec.encode(SINK, version)
                self.hands.sink.send(SINK, str(start), value)


def _start(member: object) -> int:
    assert isinstance(member, bytes)
    return int(member)


def _counted(start: int, events: list[ShopEvent]) -> dict[str, Any]:
    """Return the BusinessMetrics of a minute's events."""
    lines = [event for event in events if event.event_type == "transaction"]
    visitors, buyers = ({event.user_id for event in some} for some in (events, lines))
    # Prices have cents, so that a double's error is far below the sixth place.
    amounts = [
        round(Decimal(line.price) * line.quantity, 6) for line in lines if line.price is not None
    ]
    return {
        "window_start": start,
        "window_end": start + MINUTE_MS,
        "orders": len({line.transaction_id for line in lines}),
        "gmv": float(sum(amounts)),
        "unpriced_lines": len(lines) - len(amounts),
        "active_visitors": len(visitors),
        "buyers": len(buyers),
        "conversion": len(buyers) / len(visitors),
        "events": len(events),
    }

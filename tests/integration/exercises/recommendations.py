"""Visitors' clicks; their sessions are put together again here, literally, from the events sent."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count, pairwise
from typing import Any

from domain.events import ShopEvent
from tests.integration.exercises import Exercise, Hands, Poison
from tests.integration.exercises.poisons import of_the_wire, refused
from tests.integration.parts import ends, read, through

JOB = "recommendations"
SOURCE, SINK = "shop-events", "sessions"
MINUTE_MS, GAP_MS = 60_000, 30 * 60_000
MOST_ITEMS = 50
# Before the days whose minutes the shop's other exercises count.
START, AHEAD = 1_700_000_000_000, 4_000_000_000_000
VISITORS, ITEMS, UNORDERED_MS = 150, 400, 20 * MINUTE_MS


def exercise(hands: Hands) -> Exercise:
    """Return the part of visitors whom nobody else knows."""
    return Visitors(hands, ends(hands.stack, SINK))


@dataclass
class Visitors:
    """What has been sent so far, in its order and with its repetitions."""

    hands: Hands
    began: dict[int, int]
    """Where `sessions` ended before."""
    rate: int = 200
    good: int = 10_000
    events: list[ShopEvent] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Return how many records it has sent."""
        return len(self.events)

    def sending(self) -> Iterator[object]:
        """Send clicks out of their order, and every twentieth a second time, a while later."""
        chance = random.Random(77)
        now = dict.fromkeys(range(VISITORS), START)
        for place in count():
            visitor = int(VISITORS * chance.random() ** 1.5)
            now[visitor] += chance.choice(
                (MINUTE_MS, 5 * MINUTE_MS, 29 * MINUTE_MS, 70 * MINUTE_MS)
            )
            event = ShopEvent(
                event_id=f"{self.hands.run}-click-{place}",
                event_type=chance.choice(("view", "view", "addtocart", "transaction")),
                event_time=now[visitor] - chance.randrange(UNORDERED_MS),
                user_id=f"{self.hands.run}-u{visitor}",
                item_id=f"i{chance.randrange(ITEMS)}",
            )
            self._send(event)
            if place % 20 == 0:
                self._send(self.events[-min(200, len(self.events))])
            yield place

    def _send(self, event: ShopEvent) -> None:
        encoder = self.hands.codec.encoder(SOURCE)
        self.hands.sink.send(SOURCE, event.user_id, encoder.object(event))
        self.events.append(event)

    def poisons(self) -> list[Poison]:
        """Return poison for `shop-events`, of clicks that would lengthen a visitor's sessions."""

        def click(number: int) -> dict[str, Any]:
            return asdict(
                ShopEvent(
                    event_id=f"{self.hands.run}-bad-click-{number}",
                    event_type="view",
                    event_time=START + number * 1_000,
                    user_id=f"{self.hands.run}-u1",
                    item_id="i1",
                )
            )

        # Of the year 2096: it would make every other click of its visitor late.
        wrong: tuple[dict[str, Any], ...] = ({"item_id": ""}, {"event_time": AHEAD})
        return [
            *of_the_wire(self.hands, SOURCE, JOB, click, "event_time"),
            *(refused(self.hands, SOURCE, JOB, click, **changed) for changed in wrong),
        ]

    def through(self) -> None:
        """Wait until the clicks have become sessions."""
        self.hands.sink.flush(120)
        through(self.hands.stack, (JOB, SOURCE), timeout=300)

    def verify(self) -> None:
        """Assert that a reader of the topic has the sessions of the clicks, no others."""
        told = self._told()
        assert not any(one["late"] for one in told)
        answered = {one["event_id"] for one in told}
        assert answered == {event.event_id for event in self.events}
        found = defaultdict(list)
        for one in _newest(told).values():
            found[one["user_id"]].append(
                (one["started"], one["event_time"], one["clicks"], one["items"], one["actions"])
            )
        expected = self._sessions()
        assert found.keys() == expected.keys()
        wrong = {
            user: (sorted(found[user]), sessions)
            for user, sessions in expected.items()
            if sorted(found[user]) != sessions
        }
        assert not wrong, f"{len(wrong)} of {len(expected)} visitors: {list(wrong.items())[:2]}"

    def _told(self) -> list[dict[str, Any]]:
        mine = f"{self.hands.run}-u"
        return read(
            self.hands.stack, SINK, self.hands.codec, self.began, lambda key: key.startswith(mine)
        )

    def _sessions(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return each visitor's sessions: the clicks, each once, cut where a gap is too long."""
        clicks: dict[str, dict[str, ShopEvent]] = defaultdict(dict)
        for event in self.events:
            clicks[event.user_id].setdefault(event.event_id, event)
        return {
            user: _cut(sorted(mine.values(), key=lambda one: one.event_time))
            for user, mine in clicks.items()
        }

    def stored(self) -> Mapping[str, object]:
        """Return the sessions that a reader of the topic has, by id."""
        return _newest(self._told())

    def repeat(self) -> None:
        """Send the clicks again, and every told session, the newest version first."""
        encoder = self.hands.codec.encoder(SOURCE)
        for event in self.events:
            self.hands.sink.send(SOURCE, event.user_id, encoder.object(event))
        for one in reversed(self._told()):
            value = self.hands.codec.encode(SINK, one)
            self.hands.sink.send(SINK, one["user_id"], value)


def _newest(told: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return of each session the record with the most clicks, unless it says there is none."""
    best: dict[str, dict[str, Any]] = {}
    for one in told:
        kept = best.get(one["session_id"])
        if kept is None or one["clicks"] > kept["clicks"]:
            best[one["session_id"]] = one
    return {name: one for name, one in best.items() if one["items"]}


def _cut(clicks: Sequence[ShopEvent]) -> list[tuple[Any, ...]]:
    cuts = [
        place
        for place, (one, other) in enumerate(pairwise(clicks), 1)
        if other.event_time - one.event_time > GAP_MS
    ]
    return [
        (
            run[0].event_time,
            run[-1].event_time,
            len(run),
            [one.item_id for one in run[-MOST_ITEMS:]],
            [one.event_type for one in run[-MOST_ITEMS:]],
        )
        for run in (
            clicks[first:last] for first, last in zip([0, *cuts], [*cuts, len(clicks)], strict=True)
        )
    ]

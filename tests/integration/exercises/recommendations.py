"""Visitors' clicks, their sessions and their lists.

The sessions are put together again here, literally, from the events sent. The lists are those of an
engine that nothing has disturbed: it learns each session once, as it stands in the end.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count, pairwise
from typing import Any

import httpx
import orjson

from domain.events import ShopEvent
from orchestration.recommendations.engine.index import Bounds
from orchestration.recommendations.engine.recommender import Recommender
from serving.consumers.run import metrics_port
from serving.recommendations import keys
from tests.integration.exercises import Exercise, Hands, Poison
from tests.integration.exercises.poisons import of_the_wire, refused
from tests.integration.parts import ends, read, through, until

JOB, CONSUMER = "recommendations", "recommender"
SOURCE, SINK = "shop-events", "sessions"
LATELY_MS = 7 * 24 * 60 * 60_000
MINUTE_MS, GAP_MS = 60_000, 30 * 60_000
MOST_ITEMS, MOST_PURCHASES = 50, 200
KEY = keys.visitor("")
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
                # Nobody else's: what many sessions hold reaches the bound of an item's postings,
                # beyond which the order of learning counts (decision 16).
                item_id=f"{self.hands.run}-i{chance.randrange(ITEMS)}",
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
        """Wait until the clicks have become sessions, and all lists are as new as the index."""
        self.hands.sink.flush(120)
        through(self.hands.stack, (JOB, SOURCE), (CONSUMER, SINK), timeout=300)
        until("all lists are as new as the index", self._settled, timeout=300)

    def _settled(self) -> bool:
        stack = self.hands.stack
        page = httpx.get(f"http://{stack.host}:{metrics_port(stack, CONSUMER)}/metrics").text
        return "\nmillrace_recommendations_settled 1.0\n" in page

    def verify(self) -> None:
        """Assert that a reader has the sessions of the clicks, no others, and their lists."""
        told = self._told()
        assert not any(one["late"] for one in told)
        # Not every click's: of a session's versions in a backlog only the newest may be told.
        assert {one["event_id"] for one in told} <= {event.event_id for event in self.events}
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
        self._verify_lists()

    def _verify_lists(self) -> None:
        every = _newest(read(self.hands.stack, SINK, self.hands.codec))
        mine = defaultdict(list)
        for one in every.values():
            if one["user_id"].startswith(f"{self.hands.run}-u"):
                mine[one["user_id"]].append(one)
        engine = Recommender()
        # By their ids, which is no order that they came in.
        for name, one in sorted(every.items()):
            engine.observe(name, one["started"], one["items"], one["actions"], one["clicks"])
        # Beyond its bound what is popular depends on the order of the clicks, all products' here.
        whole = sum(len(one["items"]) for one in every.values()) <= Bounds().clicks
        expected = _trimmed(
            {user: _listed(engine, sessions) for user, sessions in mine.items()}, whole=whole
        )
        found = _trimmed(self._lists(), whole=whole)
        assert found.keys() == expected.keys()
        wrong = {user: (found[user], one) for user, one in expected.items() if found[user] != one}
        assert not wrong, f"{len(wrong)} of {len(expected)} lists: {list(wrong.items())[:2]}"

    def _lists(self) -> dict[str, Any]:
        """Return what Redis has of each visitor, without the time when the list was made."""
        names = [name.decode() for name in self.hands.client.scan_iter(f"{KEY}{self.hands.run}-u*")]
        found = {}
        for name in names:
            document = orjson.loads(self.hands.client.hget(name, "d") or b"{}")
            found[name.removeprefix(KEY)] = (document["session_id"], document["items"])
        return found

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
        """Return the sessions that a reader of the topic has, by id, and the visitors' lists."""
        return {**_newest(self._told()), **self._lists()}

    def repeat(self) -> None:
        """Send the clicks again, and every told session, the newest version first."""
        encoder = self.hands.codec.encoder(SOURCE)
        for event in self.events:
            self.hands.sink.send(SOURCE, event.user_id, encoder.object(event))
        for one in reversed(self._told()):
            value = self.hands.codec.encode(SINK, one)
            self.hands.sink.send(SINK, one["user_id"], value)


def _trimmed(lists: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return the lists without what is popular, unless `whole`."""
    return {
        user: (
            session,
            [one for one in items if whole or not one["reason"].startswith("popular")],
        )
        for user, (session, items) in lists.items()
    }


def _listed(engine: Recommender, sessions: Sequence[dict[str, Any]]) -> tuple[str, Any]:
    """Return the list of a visitor with these sessions, as Redis has it."""
    newest = max(sessions, key=lambda one: int(one["event_time"]))
    times: dict[str, int] = {}
    for one in sessions:
        for item, action in zip(one["items"], one["actions"], strict=True):
            if action == "transaction":
                times[item] = max(one["event_time"], times.get(item, 0))
    since = newest["event_time"] - LATELY_MS
    last = sorted((time, item) for item, time in times.items())[-MOST_PURCHASES:]
    bought = [item for time, item in last if time > since]
    name = newest["session_id"]
    found = engine.recommend(newest["items"], newest["actions"], session=name, without=bought)
    return name, [
        {"item": one.item, "score": round(one.score, 6), "reason": f"{one.why} {one.of}".strip()}
        for one in found
    ]


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

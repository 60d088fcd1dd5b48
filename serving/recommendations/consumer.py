"""Recommend: sessions in, each visitor's list into the store.

A record carries a session as it stands, so only the newest of a session in a batch is computed. It
enters the index, then its visitor's list is made, at once or when a backlog is worked off. In quiet
moments, lists made before others clicked are made anew, so that in the end every visitor's list is
what the index as a whole says (docs/decisions/0016). Trees that are current on the shelf order the
best candidates anew; without any, the neighbours' order stands.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from config import instruments
from config.settings import Settings
from orchestration.recommendations.engine.index import Bounds
from orchestration.recommendations.engine.item import Item, Wish
from orchestration.recommendations.engine.popularity import Lists
from orchestration.recommendations.engine.recommender import Recommender
from orchestration.recommendations.engine.reranking import FEATURE_SET
from orchestration.recommendations.engine.trees import Trees
from orchestration.shelf.shelf import WATCH_S, Shelf
from serving.consumers.models import ModelInfo
from serving.consumers.product import Gather, Incoming, Newest, Product, Rebuild, Result
from serving.consumers.run import run
from serving.recommendations import keys
from serving.recommendations.meter import Meter
from serving.recommendations.order import TRAIN, accept
from serving.recommendations.purchases import Purchases
from serving.recommendations.rehearsal import rehearse
from serving.recommendations.server import serve
from serving.recommendations.spotlight import Spotlight
from serving.recommendations.turns import Turns
from serving.recommendations.visitors import Visitors
from serving.store import Write

SESSIONS, ITEMS = "sessions", "shop-items"
TICK_S = 0.25
LIMIT = 10
BACKLOG = 500
"""Records at once that are taken for a backlog."""
WAITING = 4000
"""Lists made in a tick at most for visitors whose clicks came in a backlog."""


class Recommendations(Product):
    """Sessions and what is known of items, in; lists, out.

    `turns` guard the engine, which the server of its index reads in another thread.
    """

    name = "recommender"
    topics = (SESSIONS, ITEMS)
    batch_size = 5000
    tick_every = TICK_S

    def __init__(
        self,
        bounds: Bounds | None = None,
        *,
        visitors: int = 100_000,
        refresh: int = 200,
        kept_ms: int = 7 * keys.DAY_MS,
        now: Callable[[], float] = time.time,
        shelf: Shelf[Trees] | None = None,
        spotlight: Spotlight | None = None,
    ) -> None:
        """Make an empty recommender.

        `visitors`: how many are remembered; `refresh`: lists made anew in a quiet tick at most, an
        eighth of it while visitors click; `kept_ms`: how long the store keeps a list; `shelf`:
        where trees that order candidates are promoted; `spotlight`: which visitor the live page
        shows.
        """
        held = (bounds or Bounds()).sessions
        sessions = Newest("session_id", "clicks", most=held, most_first=visitors)
        self.gather = Gather(SESSIONS, sessions, many=BACKLOG)
        self.rebuild = (
            Rebuild(ITEMS, everything=True),
            Rebuild(SESSIONS, everything=True, newest=sessions),
        )
        self.turns = Turns()
        self._bounds, self._kept_ms, self._refresh, self._now = bounds, kept_ms, refresh, now
        self._most, self._shelf, self._spotlight = visitors, shelf, spotlight
        self.meter = Meter(int(now() * 1000))
        self.engine = self._empty(self._order())
        self._visitors, self._purchases = Visitors(visitors), Purchases(visitors)
        self._epoch = self._ticked = 0
        self._busy = self._settled = self._current = False
        self._last = 0
        self._popular: tuple[str, ...] | None = None

    def register(self, registry: CollectorRegistry) -> None:
        """Add the hit rate and the state of the index to the metrics."""
        self.meter.register(registry)
        if self._shelf is not None:
            registry.register(ModelInfo(self.name, self._shelf))
        for name, told in (
            ("sessions", lambda: self.engine.index.sessions),
            ("items", lambda: len(self.engine.index)),
            ("refused", lambda: self.engine.index.refused),
            ("bytes", lambda: self.engine.index.bounds.most),
            ("waiting", lambda: len(self._visitors.pending)),
            ("settled", lambda: self._current),
        ):
            gauge = instruments.gauge(f"millrace_recommendations_{name}", registry)
            gauge.set_function(told)

    def clear_state(self) -> None:
        """Forget sessions, items and visitors."""
        with self.turns:
            self.engine = self._empty(self.engine.trees)
        self._visitors, self._purchases = Visitors(self._most), Purchases(self._most)
        self._epoch, self._popular = 0, None

    def restore_state(self, row: Incoming) -> None:
        """Take a record in; lists are made when all is read."""
        self._learn(row)

    def fold(self, row: Incoming) -> Hashable:
        """Of a session, and of an item, only the newest record counts."""
        name = "session_id" if row.topic == SESSIONS else "item_id"
        return row.topic, row.record[name]

    def origin(self, row: Incoming) -> int:
        """Return when the click that caused a session's record was sent."""
        return int(row.record.get("produced_at") or row.timestamp)

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Take all records in, then make the lists of their visitors.

        In a backlog lists wait for its end, for the visitors may click on in it.
        """
        now_ms = self._moment(int(self._now() * 1000))
        self._busy = self.came >= BACKLOG
        concerned = [self._learn(row, judge=True) for row in batch]
        results = []
        for row, session in zip(batch, concerned, strict=True):
            newest = session is not None and not self._busy and self._visitors.newest(session)
            writes = self._lists(session, now_ms) if session is not None and newest else ()
            results.append(Result(writes, origin=self.origin(row) if writes else None))
        return results

    def tick(self, now_ms: int) -> Sequence[Result]:
        """Make lists anew that are older than the index, and tell hits and what is popular."""
        if self._busy:  # a backlog comes first
            self._busy = False
            return ()
        self._reorder()
        self._settle()
        self._list_popular()
        now_ms, writes = self._moment(now_ms), []
        most = self._refresh if self._settled else self._refresh // 8
        due = self._visitors.waiting(WAITING) or self._visitors.due(self._epoch, most)
        self._current = self._settled and not due  # the lists of earlier ticks are stored by now
        for visitor in due:
            before, never = visitor.digest, visitor.epoch < 0
            write = self._list(visitor.session, now_ms)
            if never or visitor.digest != before:
                writes.append(write)
        with self.turns:
            popular = self.engine.popular(LIMIT)
        names = tuple(one.item for one in popular)
        if names != self._popular:
            self._popular = names
            writes.append(keys.popular(popular, now_ms))
        writes += self.meter.due()
        return [Result((write,)) for write in writes]

    def _moment(self, now_ms: int) -> int:
        """Return a time after that of all lists before, so that the later of two lists stays."""
        self._last = max(now_ms, self._last + 1)
        return self._last

    def _settle(self) -> None:
        """Once nothing has come for a tick, list anew what is popular, and make all lists by it."""
        if self._epoch != self._ticked:
            self._settled = False
        elif not self._settled:
            self._settled = True
            self.engine.popularity.refresh()
            self._epoch += 1
        self._ticked = self._epoch

    def _list_popular(self) -> None:
        """List what is popular anew where that is out of date; questions go on meanwhile.

        Only this thread changes what is counted.
        """
        popularity = self.engine.popularity
        if popularity.stale:
            lists = Lists.of(popularity.counts())
            with self.turns:
                popularity.take(lists)

    def _empty(self, trees: Trees | None) -> Recommender:
        return Recommender(self._bounds, trees=trees, lists_popular=False)

    def _order(self) -> Trees | None:
        return self._shelf.model(FEATURE_SET) if self._shelf is not None else None

    def _reorder(self) -> None:
        """Take up trees promoted since, or none after the last was withdrawn, for every list."""
        trees = self._order()
        if trees is not self.engine.trees:
            with self.turns:
                self.engine.trees = trees
            self._changed()

    def notice(self) -> str | None:
        """Return why the current trees were refused; lists are made without them."""
        return self._shelf.refused or None if self._shelf is not None else None

    def probe(self) -> bool:
        """Make a list for a session of one unknown item."""
        with self.turns:
            self.engine.recommend(["probe"])
        return True

    def recommend(
        self, items: Sequence[str], actions: Sequence[str] | None, wish: Wish, category: str | None
    ) -> list[Item]:
        """Return a list for a session in hand; of no items what is popular. For any thread."""
        with self.turns.asking:
            if not items:
                return self.engine.popular(wish.limit, category)
            return self.engine.recommend(items, actions, wish)

    def _learn(self, row: Incoming, *, judge: bool = False) -> dict[str, Any] | None:
        """Take a record in; return its session if its visitor's list depends on it."""
        record = row.record
        with self.turns:
            if row.topic == ITEMS:
                self._item(record)
                return None
            if record["late"]:
                return None
            session, clicks = record["session_id"], record["clicks"]
            known = self.engine.version(session)
            if clicks < known:
                return None
            if judge and clicks > known:
                self._judge(record, known)
            args = (session, record["started"], record["items"], record["actions"], clicks)
            if self.engine.observe(*args):
                self._purchases.see(record)
                self._changed()
        if not record["items"]:
            self._visitors.leave(record["user_id"], session)
            return None
        return record if self._visitors.see(record) else None

    def _item(self, record: dict[str, Any]) -> None:
        name = record["item_id"]
        self.engine.index.categorise(name, record["category"])
        self.engine.index.available(name, yes=record["available"] is not False)
        self.engine.popularity.refresh()
        self._changed()

    def _changed(self) -> None:
        self._epoch += 1
        self._current = False

    def _judge(self, record: dict[str, Any], known: int) -> None:
        """Count whether a click was in the list shown before it.

        Not where clicks in between were folded away, for no list was shown between them.
        """
        visitor = self._visitors.known.get(record["user_id"])
        if visitor is None or not visitor.shown or not record["items"]:
            return
        if record["user_id"] in self._visitors.pending:
            return
        if record["clicks"] == known + 1:
            self.meter.count(record["event_time"], hit=record["items"][-1] in visitor.shown)

    def _lists(self, session: dict[str, Any], now_ms: int) -> tuple[Write, ...]:
        made = self._list(session, now_ms)
        if self._spotlight is None or not self._spotlight.takes(session["user_id"], now_ms):
            return (made,)
        return made, keys.watched(session, made, now_ms)

    def _list(self, session: dict[str, Any], now_ms: int) -> Write:
        own, bought = session["session_id"], self._purchases.lately(session)
        with self.turns:
            found = self.engine.recommend(
                session["items"], session["actions"], Wish(LIMIT), own, bought
            )
        user = session["user_id"]
        self._visitors.made(user, found, self._epoch)
        return keys.visitor_list(user, session, found, now_ms, self._kept_ms)


def make(configured: Settings) -> Recommendations:
    """Return the product, its index served on a port of its own."""
    bounds = Bounds(
        sessions=configured.recommendations_sessions, items=configured.recommendations_items
    )
    shelf = Shelf(configured.state_dir / "models" / Recommendations.name, accept, TRAIN)
    shelf.watch(WATCH_S, threading.Event())
    product = Recommendations(
        bounds,
        visitors=configured.recommendations_visitors,
        kept_ms=configured.recommendations_kept_days * keys.DAY_MS,
        shelf=shelf,
        spotlight=Spotlight(),
    )
    # The server's thread must not wait 5 ms for each turn while a backlog is worked off.
    sys.setswitchinterval(0.0005)
    rehearse()  # compiles what has to be before records wait for it
    serve(product, configured.host, configured.port("recommender"))
    return product


if __name__ == "__main__":
    run(Recommendations.name, make)

"""Recommend the next items of a session: what the consumer, its routes and the evaluation call."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from orchestration.recommendations.engine import reranking, scoring
from orchestration.recommendations.engine.arrays import NONE, Bytes, Ints
from orchestration.recommendations.engine.diversity import CANDIDATES, diversified
from orchestration.recommendations.engine.index import ACTIONS, BOUGHT, Bounds, Index
from orchestration.recommendations.engine.item import Item, Wish
from orchestration.recommendations.engine.popularity import Popularity
from orchestration.recommendations.engine.scoring import Floats
from orchestration.recommendations.engine.trees import Trees, predict
from orchestration.recommendations.engine.weights import TUNED, Weights

BEST = Wish()


class Version(NamedTuple):
    """What is remembered of a session: its version, and the items of one that is not indexed."""

    clicks: int
    alone: tuple[str, ...]


class Query(NamedTuple):
    """A session's items, the newest first: each once, -1 where it comes again; all; weights."""

    items: Ints
    clicks: Ints
    weights: Floats


class Recommender:
    """An index of sessions with one method to score by. Not for several threads at once."""

    def __init__(
        self,
        bounds: Bounds | None = None,
        weights: Weights = TUNED,
        trees: Trees | None = None,
        *,
        lists_popular: bool = True,
    ) -> None:
        """Make an empty recommender; with `trees` the best candidates are ordered by them.

        `lists_popular`: a question lists anew what is popular when that is out of date, which takes
        milliseconds; else the owner does so (`popularity`).
        """
        self.trees = trees
        self._tables = weights.tables()
        self._sights = (
            self._tables,
            reranking.NEAR_SIGHTED.tables(),
            reranking.FAR_SIGHTED.tables(),
        )
        self.index = Index(bounds or Bounds(), weights.postings)
        self.popularity = Popularity(self.index, itself=lists_popular)
        self.weights = weights
        self._scratch = scoring.scratch(self.index.bounds.sessions, self.index.bounds.items)
        self._versions: OrderedDict[str, Version] = OrderedDict()

    def observe(
        self,
        session: str,
        started: int,
        items: Sequence[str],
        actions: Sequence[str] | None = None,
        clicks: int | None = None,
    ) -> bool:
        """Take a session in as it stands; return False, and do nothing, if that is out of date.

        `clicks` is its version, which grows (None: the number of items). Without items there is no
        such session any more.
        """
        version = len(items) if clicks is None else clicks
        known = self._versions.get(session)
        if known is not None and version <= known.clicks:
            return False
        if known is None and len(items) == 1 and self.index.slot(session) < 0:
            self.popularity.click(items[0])  # most sessions: it enters with its second item
            self._remember(session, Version(version, (items[0],)))
            return True
        before = self.index.held(session) or (list(known.alone) if known else [])
        gone = self._count(before, items)
        self.index.put(session, started, items, actions)
        for name in gone:
            if (item := self.index.item(name)) >= 0:
                self.index.release(item)
        alone = () if self.index.slot(session) >= 0 else tuple(items)
        self._remember(session, Version(version, alone))
        return True

    def _remember(self, session: str, version: Version) -> None:
        self._versions[session] = version
        self._versions.move_to_end(session)
        if len(self._versions) > self.index.bounds.sessions:
            self._versions.popitem(last=False)

    def _count(self, before: list[str], items: Sequence[str]) -> list[str]:
        """Count the clicks that a session has now and had not before; return what it has no more.

        Nearly always it has grown at its end.
        """
        if before == list(items[: len(before)]):
            for name in items[len(before) :]:
                self.popularity.click(name)
            return []
        counts = Counter(items)
        counts.subtract(before)
        for name, change in counts.items():
            self.popularity.click(name, change)
        return [name for name, change in counts.items() if change < 0]

    def version(self, session: str) -> int:
        """Return the clicks of a session as it is known, 0 for an unknown one."""
        known = self._versions.get(session)
        return known.clicks if known else 0

    def recommend(
        self,
        items: Sequence[str],
        actions: Sequence[str] | None = None,
        wish: Wish = BEST,
        session: str = "",
        without: Iterable[str] = (),
    ) -> list[Item]:
        """Return the best next items after `items` (the newest last) for a session.

        What the session bought is never in the list, nor is `without`. `session`: its own id, which
        is not its own neighbour.
        """
        names, kinds = self._newest_first(items, actions)
        barred = {
            name
            for name, kind in zip(items, actions or (), strict=False)
            if ACTIONS.get(kind) == BOUGHT
        }
        barred.update(without)
        if not wish.repeats:
            barred.update(items)
        query = self._query(names, kinds)
        try:
            return self._list(query, names, wish, session, barred)
        finally:
            self._release(query)

    def candidates(
        self, items: Sequence[str], actions: Sequence[str] | None = None
    ) -> tuple[list[str], Floats]:
        """Return the best next items, not ordered by trees, and a row of features for each."""
        names, kinds = self._newest_first(items, actions)
        query = self._query(names, kinds)
        try:
            ranked, rows = self._candidates(query, NONE, self.index.hidden)
            return [self.index.name(item) for item in ranked.items.tolist()], rows
        finally:
            self._release(query)

    def _newest_first(
        self, items: Sequence[str], actions: Sequence[str] | None
    ) -> tuple[list[str], list[int]]:
        names = list(items[-self.weights.prefix :])[::-1]
        if actions is None:
            return names, [0] * len(names)
        return names, [ACTIONS.get(one, 0) for one in actions[-self.weights.prefix :]][::-1]

    def _release(self, query: Query) -> None:
        for item in query.items[query.items >= 0].tolist():
            self.index.release(item)

    def _list(
        self,
        query: Query,
        names: list[str],
        wish: Wish,
        session: str,
        barred: set[str],
    ) -> list[Item]:
        limit = max(CANDIDATES, wish.limit) if wish.diversity > 0 else wish.limit
        own = self.index.slot(session)
        found = self._neighbours(query, own, barred, limit, names)
        if self.weights.hop and found and len(found) < limit:
            found += self._second_hop(found, own, barred, limit)
        if wish.diversity > 0:
            found = diversified(self.index, found, wish.diversity, wish.limit)
        if len(found) < wish.limit:
            taken = barred.union(one.item for one in found)
            floor = found[-1].score if found else 1.0
            found += self._popular(names, taken, wish.limit - len(found), floor)
        return found[: wish.limit]

    def popular(self, limit: int = 10, category: str | None = None) -> list[Item]:
        """Return what is clicked most now, in a category first."""
        return self._popular([], set(), limit, 1.0, category)

    def _query(self, names: Sequence[str], kinds: Sequence[int]) -> Query:
        """Return the session's items, the newest first, and their weights; repeated ones once.

        Items that no other session has get a number, too: they may come again.
        """
        steps = self._tables.step[: len(names)] * self._tables.action[np.array(kinds, np.int64)]
        clicks = np.array([self.index.hold(name) for name in names], np.int32)
        once, seen = clicks.copy(), set[str]()
        for place, name in enumerate(names):
            if name in seen:
                once[place] = NONE
            seen.add(name)
        return Query(once, clicks, steps)

    def _neighbours(
        self,
        query: Query,
        own: int,
        barred: set[str],
        limit: int,
        names: Sequence[str],
    ) -> list[Item]:
        ranked = self._rank(query, own, barred, limit, self.trees)
        found, clicked = [], set(names)
        for place, item in enumerate(ranked.items.tolist()):
            name = self.index.name(item)
            score = float(ranked.scores[place])
            if name in clicked:
                found.append(Item(name, score, "seen", ""))
            else:
                why = "bought after" if ranked.bought[place] else "seen after"
                found.append(Item(name, score, why, names[ranked.because[place]]))
        return found

    def _rank(
        self,
        query: Query,
        own: int,
        barred: set[str],
        limit: int,
        trees: Trees | None = None,
    ) -> scoring.Ranked:
        numbers = [item for item in map(self.index.item, barred) if item >= 0]
        hidden = self.index.hidden
        before = hidden[numbers]
        hidden[numbers] = 1
        try:
            if trees is not None:
                ranked, rows = self._candidates(query, own, hidden)
                return reranking.reordered(ranked, predict(trees, rows), limit)
            return scoring.rank(
                self.index.arrays,
                self._scratch,
                self._tables,
                query.items,
                query.weights,
                own,
                max(1, self.index.sessions),
                hidden,
                limit,
            )
        finally:
            hidden[numbers] = before

    def _candidates(self, query: Query, own: int, hidden: Bytes) -> tuple[scoring.Ranked, Floats]:
        return reranking.candidates(
            self.index.arrays,
            self._scratch,
            self._sights,
            query.items,
            query.clicks,
            query.weights,
            own,
            max(1, self.index.sessions),
            hidden,
            reranking.CANDIDATES,
        )

    def _second_hop(
        self, found: Sequence[Item], own: int, barred: set[str], limit: int
    ) -> list[Item]:
        """Return what is seen with the best items found, for a list that is too short."""
        best = found[: self.weights.hop]
        items = np.array([self.index.item(one.item) for one in best], np.int32)
        weights = np.array([one.score / (best[0].score or 1.0) for one in best])
        taken = barred.union(one.item for one in found)
        ranked = self._rank(Query(items, items, weights), own, taken, limit - len(found))
        floor, top = found[-1].score, float(ranked.scores[0] or 1.0) if len(ranked.items) else 1.0
        return [
            Item(
                self.index.name(item),
                floor * float(ranked.scores[place]) / top * 0.99,
                "seen after",
                best[ranked.because[place]].item,
            )
            for place, item in enumerate(ranked.items.tolist())
        ]

    def _popular(
        self,
        names: Sequence[str],
        taken: set[str],
        limit: int,
        floor: float,
        category: str | None = None,
    ) -> list[Item]:
        """Return what is popular: in the category of the newest item that has one, then overall."""
        if category is None:
            known = map(self.index.category_of, names)
            category = next((one for one in known if one is not None), None)
        found: list[Item] = []
        taken = set(taken)
        for where in (category, None) if category is not None else (None,):
            for item in self.popularity.top(where):
                name = self.index.name(item)
                if len(found) == limit:
                    return found
                if name not in taken and not self.index.hidden[item]:
                    taken.add(name)
                    found.append(
                        Item(name, floor * 0.5 ** (len(found) + 1), "popular", where or "")
                    )
        return found

"""What the engine is compared with: rules of thumb, in plain Python, and published neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import structlog

from config.errors import UserError
from orchestration.recommendations.engine.index import Bounds
from orchestration.recommendations.engine.item import Wish
from orchestration.recommendations.engine.recommender import Recommender
from orchestration.recommendations.engine.trees import Trees
from orchestration.recommendations.engine.weights import SKNN, STAN, TUNED, VMIS, VSTAN, Weights
from orchestration.recommendations.sessions import Session

log = structlog.get_logger(__name__)


class Method(Protocol):
    """Learns from whole sessions, one after the other, and answers prefixes."""

    def learn(self, session: Session) -> None:
        """Take in a finished session."""
        ...

    def answer(self, prefix: Session, limit: int) -> Sequence[str]:
        """Return the items most likely to come next, the likeliest first."""
        ...


class Popular:
    """The most clicked items, whatever was clicked before."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._top: list[str] = []

    def learn(self, session: Session) -> None:
        """Count the clicks."""
        self._counts.update(session)
        self._top = []

    def answer(self, prefix: Session, limit: int) -> Sequence[str]:
        """Return the most clicked."""
        if len(self._top) < limit:
            self._top = [item for item, _ in self._counts.most_common(limit)]
        return self._top


class Rules:
    """First-order rules: what was clicked right after the newest item."""

    def __init__(self) -> None:
        self._after: dict[str, Counter[str]] = {}

    def learn(self, session: Session) -> None:
        """Count the steps from one item to another."""
        for one, following in pairwise(session):
            self._after.setdefault(one, Counter())[following] += 1

    def answer(self, prefix: Session, limit: int) -> Sequence[str]:
        """Return the most frequent followers."""
        found = self._after.get(prefix[-1])
        return [item for item, _ in found.most_common(limit)] if found else ()


class Together:
    """Item-item co-occurrence: what most sessions have that hold the newest item, itself first."""

    def __init__(self) -> None:
        self._holding: dict[str, list[Session]] = {}
        self._known: dict[str, list[str]] = {}

    def learn(self, session: Session) -> None:
        """Remember the session at each of its items."""
        distinct = list(dict.fromkeys(session))
        for item in distinct:
            self._holding.setdefault(item, []).append(distinct)
            self._known.pop(item, None)

    def answer(self, prefix: Session, limit: int) -> Sequence[str]:
        """Return the items in most of those sessions."""
        item = prefix[-1]
        if item not in self._known:
            counts = Counter(other for one in self._holding.get(item, ()) for other in one)
            self._known[item] = [other for other, _ in counts.most_common(limit)]
        return self._known[item]


class Neighbours:
    """The engine itself, with the weights of a method; what the consumer calls, too."""

    def __init__(self, weights: Weights, bounds: Bounds | None = None) -> None:
        self._engine = Recommender(bounds, weights)
        self._learnt = 0

    def learn(self, session: Session) -> None:
        """Take the session in; its number stands for its time."""
        self._learnt += 1
        self._engine.observe(f"s{self._learnt}", self._learnt, session)

    def answer(self, prefix: Session, limit: int) -> Sequence[str]:
        """Return the engine's list."""
        return [one.item for one in self._engine.recommend(prefix, wish=Wish(limit))]


class Ordered(Neighbours):
    """The engine with trees that are there already."""

    def __init__(self, trees: Trees) -> None:
        super().__init__(TUNED)
        self._engine.trees = trees


class Reranked(Neighbours):
    """The engine with trees learnt from the last tenth of what it was taught first."""

    def __init__(self) -> None:
        super().__init__(TUNED)
        self._sessions: list[Session] | None = []

    def learn(self, session: Session) -> None:
        """Take the session in."""
        super().learn(session)
        if self._sessions is not None:
            self._sessions.append(session)

    def ready(self) -> None:
        """Learn the order; without enough to learn from, the engine's own stays."""
        from orchestration.recommendations.ranking import fit  # LightGBM takes long to load

        sessions, self._sessions = self._sessions, None
        try:
            self._engine.trees = fit(sessions or [])
        except UserError as error:
            log.warning("not reranked", reason=str(error))


def methods() -> dict[str, Method]:
    """Return every method by name, all of them empty; the first is the product's."""
    return {
        "millrace": Neighbours(TUNED),
        "millrace, reranked": Reranked(),
        "popularity": Popular(),
        "co-occurrence": Together(),
        "first-order rules": Rules(),
        "SKNN": Neighbours(SKNN),
        "VMIS-kNN": Neighbours(VMIS),
        "STAN": Neighbours(STAN),
        "VSTAN": Neighbours(VSTAN),
    }

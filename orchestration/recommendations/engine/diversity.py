"""Choose items that differ: maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from orchestration.recommendations.engine.index import Index
from orchestration.recommendations.engine.item import Item

CANDIDATES = 50
"""Best items that are chosen from."""
SAME_CATEGORY = 0.5
"""The least likeness of two items of one category."""


def diversified(index: Index, found: Sequence[Item], diversity: float, limit: int) -> list[Item]:
    """Return `limit` of the items found, the most relevant first.

    Each is chosen by (1 - diversity) times its score, as a share of the best one's, minus diversity
    times its likeness to the most alike of those before it. Two items are alike as the cosine of
    the sessions that hold them, or as their categories are the same.
    """
    rest = list(found[:CANDIDATES])
    if not rest:
        return []
    sessions = {one.item: index.sessions_of(one.item) for one in rest}
    likeness = dict.fromkeys(sessions, 0.0)
    top = rest[0].score or 1.0
    chosen: list[Item] = []
    while rest and len(chosen) < limit:
        best = max(
            rest,
            key=lambda one: (
                (1 - diversity) * one.score / top - diversity * likeness[one.item],
                -found.index(one),
            ),
        )
        rest.remove(best)
        chosen.append(best)
        category = index.category_of(best.item)
        for one in rest:
            alike = _cosine(sessions[best.item], sessions[one.item])
            if category is not None and category == index.category_of(one.item):
                alike = max(alike, SAME_CATEGORY)
            likeness[one.item] = max(likeness[one.item], alike)
    return chosen


def _cosine(a: set[int], b: set[int]) -> float:
    return len(a & b) / math.sqrt(len(a) * len(b)) if a and b else 0.0

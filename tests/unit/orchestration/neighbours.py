"""Nearest neighbours written out in plain Python, from the formula alone: slow, and to be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestration.recommendations.engine.weights import Weights

KINDS = ("view", "addtocart", "transaction")


@dataclass(frozen=True)
class Known:
    """A session: when it started, and what was clicked, the oldest first."""

    started: int
    items: tuple[str, ...]
    actions: tuple[str, ...]


def decayed(length: float, distance: int) -> float:
    return math.exp(-distance / length)


def scores(sessions: Sequence[Known], query: Sequence[str], weights: Weights) -> dict[str, float]:
    """Return the score of every item, for a method of exponential decays without cut-offs.

    `query`: the newest item last, all of them views. `weights.neighbours` must not cut anything.
    """
    steps: dict[str, int] = {}
    for back, item in enumerate(reversed(query[-weights.prefix :])):
        steps.setdefault(item, back)
    sessions = [one for one in sessions if len(set(one.items)) > 1]
    found: dict[str, float] = {}
    holding = {
        item: sorted((one for one in sessions if item in one.items), key=lambda one: one.started)
        for one in sessions
        for item in one.items
    }
    assert weights.step.length
    assert weights.match.length
    assert weights.forward.length
    assert weights.backward.length
    for one in sessions:
        shared = {
            item: step
            for item, step in steps.items()
            if any(one is other for other in holding.get(item, [])[-weights.postings :])
        }
        if not shared:
            continue
        similarity = sum(decayed(weights.step.length, step) for step in shared.values())
        similarity /= len(one.items) ** weights.length
        newest = min(shared, key=lambda item: shared[item])
        match = max(place for place, item in enumerate(one.items) if item == newest)
        similarity *= decayed(weights.match.length, shared[newest])
        for place, (item, action) in enumerate(zip(one.items, one.actions, strict=True)):
            decay = weights.forward.length if place >= match else weights.backward.length
            gain = similarity * decayed(decay, abs(place - match))
            gain *= weights.action[KINDS.index(action)]
            found[item] = found.get(item, 0.0) + gain
    for item in found:
        count = len(holding[item])
        rare = weights.base + weights.rarity * math.log(len(sessions) / count)
        found[item] *= rare * count**weights.popularity
    top = max(found.values(), default=0.0) or 1.0
    for item, step in steps.items():
        table = weights.repeat
        assert table.length
        share = (
            table.first[step]
            if step < len(table.first)
            else table.share * decayed(table.length, step)
        )
        found[item] = found.get(item, 0.0) + top * share
    return found

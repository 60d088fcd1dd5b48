"""Order the best candidates anew by trees: LambdaMART, compiled to arrays.

Burges, *From RankNet to LambdaRank to LambdaMART* (MSR-TR-2010-82). What the trees see are the
scores of three tunings of the neighbours, where and how often an item occurs in the session, how
common it is, and how it goes with the newest item.
"""

from __future__ import annotations

import hashlib

import numpy as np

from orchestration.compiled import compiled
from orchestration.recommendations.engine.arrays import Arrays, Bytes, Ints
from orchestration.recommendations.engine.scoring import (
    Floats,
    Ranked,
    Scratch,
    Tables,
    clear,
    score,
)
from orchestration.recommendations.engine.scoring import ranked as leaders
from orchestration.recommendations.engine.weights import TUNED, Decay, Weights

CANDIDATES = 60
"""Best items that are ordered anew."""
FEATURES = (
    "score",
    "place",
    "near_score",
    "far_score",
    "steps_back",
    "clicks_in_session",
    "sessions_of_item",
    "session_length",
    "session_items",
    "sessions_of_newest",
    "because_step",
    "candidates",
    "together",
    "right_after",
    "right_before",
)
NEWEST = 60
"""Sessions of a candidate that are searched for the newest item."""
NOT_IN_SESSION = 99.0
NEAR_SIGHTED = Weights(step=Decay(0.7), forward=Decay(1.5), backward=Decay(1.5))
FAR_SIGHTED = Weights(step=Decay(6.0), forward=Decay(8.0), backward=Decay(8.0), length=0.4)
_DECLARED = (FEATURES, CANDIDATES, NEWEST, NOT_IN_SESSION, TUNED, NEAR_SIGHTED, FAR_SIGHTED)
FEATURE_SET = f"order-{hashlib.sha256(repr(_DECLARED).encode()).hexdigest()[:8]}"
"""Trees learnt from rows of another declaration say nothing of these."""


@compiled
def _relative(
    a: Arrays, s: Scratch, t: Tables, query: Ints, sessions: int, own: int, items: Ints
) -> Floats:
    """Return the scores of items by another tuning, as shares of its greatest."""
    weights = t.step[: len(query)]
    found = score(a, s, t, query, weights, own, sessions)
    top = 0.0
    for place in range(found):
        top = max(top, s.score[place])
    shares = np.zeros(len(items))
    if top > 0.0:
        for place in range(len(items)):
            at = s.place[items[place]]
            shares[place] = s.score[at - 1] / top if at > 0 else 0.0
    clear(s, found)
    return shares


@compiled
def _with_newest(a: Arrays, item: int, newest: int, row: Floats) -> None:
    """Count the item's newest sessions that hold the newest item, and those where it adjoins."""
    if a.slab[item] < 0 or newest < 0:
        return
    end = a.slab[item] + a.used[item]
    for posting in range(max(a.slab[item], end - NEWEST), end):
        slot = a.pool[posting]
        length = a.length[slot]
        for place in range(length):
            if a.items[slot, place] == newest:
                row[12] += 1
                if place + 1 < length and a.items[slot, place + 1] == item:
                    row[13] += 1
                if place > 0 and a.items[slot, place - 1] == item:
                    row[14] += 1
                break


@compiled
def candidates(
    a: Arrays,
    s: Scratch,
    tables: tuple[Tables, Tables, Tables],
    query: Ints,
    clicks: Ints,
    weights: Floats,
    own: int,
    sessions: int,
    hidden: Bytes,
    limit: int,
) -> tuple[Ranked, Floats]:
    """Return the best items of the first tuning, and a row of `FEATURES` for each.

    `query` and `clicks` are the session's items, the newest first; in `query` each counts once.
    """
    found = score(a, s, tables[0], query, weights, own, sessions)
    ranked = leaders(a, s, found, hidden, limit)
    best = ranked.items
    near = _relative(a, s, tables[1], query, sessions, own, best)
    far = _relative(a, s, tables[2], query, sessions, own, best)
    rows = np.zeros((len(best), 15))
    newest = query[0] if len(query) else -1
    distinct = 0
    for item in query:
        distinct += item >= 0
    for place in range(len(best)):
        item, row = best[place], rows[place]
        row[0] = ranked.scores[place] / ranked.scores[0] if ranked.scores[0] > 0 else 0.0
        row[1], row[2], row[3] = place, near[place], far[place]
        row[4] = NOT_IN_SESSION
        for step in range(len(clicks) - 1, -1, -1):
            if clicks[step] == item:
                row[4] = step
                row[5] += 1
        row[6], row[7], row[8] = a.sessions[item], len(query), distinct
        row[9] = a.sessions[newest] if newest >= 0 else 0
        row[10], row[11] = ranked.because[place], len(best)
        _with_newest(a, item, newest, row)
    return ranked, rows


@compiled
def reordered(ranked: Ranked, values: Floats, limit: int) -> Ranked:
    """Return the items by descending value, exp(value) as scores; equal ones stay in order."""
    order = np.argsort(-values, kind="mergesort")[:limit]
    return Ranked(
        ranked.items[order], np.exp(values[order]), ranked.because[order], ranked.bought[order]
    )

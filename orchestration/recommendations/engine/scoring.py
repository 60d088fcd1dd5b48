"""Score items by the sessions most like the one in hand: session-based nearest neighbours.

SKNN, VMIS-kNN, STAN and VSTAN differ in how much a step back in the session, the place in a
neighbour and the rarity of an item weigh; here all of that is in tables (`weights.py`).
Jannach & Ludewig, RecSys 2017 (SKNN); Garg et al., SIGIR 2019 (STAN); Ludewig et al., UMUAI 2021
(VSTAN); Kersbergen et al., SIGMOD 2022 (VMIS-kNN).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from orchestration.compiled import compiled
from orchestration.recommendations.engine.arrays import Arrays, Bytes, Ints

Floats = npt.NDArray[np.float64]


class Scratch(NamedTuple):
    """Working memory of one caller; similarity and place are zero between two calls.

    What is known of the items found stands side by side, in the order they were found.
    """

    similarity: Floats  # S
    matched: Bytes  # S: the newest step of the query that the session holds
    near: Ints  # S: sessions touched
    place: Ints  # I: one more than where the item stands among those found, 0 for others
    found: Ints  # the items found
    score: Floats
    best: Floats  # the greatest single contribution
    because: Bytes  # the step that it came from
    bought: Bytes  # whether a neighbour bought the item after it


class Tables(NamedTuple):
    """The weights of a method, tabulated."""

    step: Floats  # by steps back in the query, 0 its newest item
    forward: Floats  # by distance in the neighbour from the matched item, later
    backward: Floats  # the same, earlier
    match: Floats  # by the newest step that matched
    action: Floats  # by action: view, addtocart, transaction
    repeat: Floats  # by steps back: share of the greatest score that the query's own items gain
    neighbours: int
    length: Floats  # by the neighbour's length: what divides its similarity
    base: float
    rarity: float  # weight of log(sessions / sessions with the item)
    popularity: float  # exponent of the sessions with the item, negative
    log: Floats  # by the sessions with the item, of the first few thousand: the logarithm,
    power: Floats  # and that power of it


def scratch(sessions: int, items: int) -> Scratch:
    """Return the working memory for an index of this size."""
    return Scratch(
        similarity=np.zeros(sessions),
        matched=np.zeros(sessions, np.int8),
        near=np.zeros(sessions, np.int32),
        place=np.zeros(items, np.int32),
        found=np.zeros(items, np.int32),
        score=np.zeros(items),
        best=np.zeros(items),
        because=np.zeros(items, np.int8),
        bought=np.zeros(items, np.int8),
    )


@compiled
def _gather(a: Arrays, s: Scratch, query: Ints, weights: Floats, own: int) -> int:
    """Add up the similarity of all sessions that share an item; return how many there are."""
    count = 0
    for step in range(len(query)):
        item = query[step]
        if item < 0 or a.used[item] == 0:
            continue
        slab = a.slab[item]
        for place in range(slab + a.used[item] - 1, slab - 1, -1):
            slot = a.pool[place]
            if slot == own:
                continue
            if s.similarity[slot] == 0.0:
                s.matched[slot] = step
                s.near[count] = slot
                count += 1
            s.similarity[slot] += weights[step]
    return count


@compiled
def _nearest(a: Arrays, s: Scratch, count: int, t: Tables) -> int:
    """Leave the most similar sessions at the front of `near`; return how many.

    Of equally similar ones the first found stay: those of the query's newest item, newest first.
    """
    for place in range(count):
        slot = s.near[place]
        s.similarity[slot] /= t.length[a.length[slot]]
    if count <= t.neighbours:
        return count
    values = np.empty(count)
    for place in range(count):
        values[place] = s.similarity[s.near[place]]
    border = np.partition(values, count - t.neighbours)[count - t.neighbours]
    spare = t.neighbours
    for place in range(count):
        if values[place] > border:
            spare -= 1
    kept = 0
    for place in range(count):
        slot = s.near[place]
        if values[place] > border or (values[place] == border and spare > 0):
            if values[place] == border:
                spare -= 1
            s.near[kept] = slot
            s.similarity[slot] = values[place]
            kept += 1
        else:
            s.similarity[slot] = 0.0
    return kept


@compiled
def _find(s: Scratch, item: int, found: int) -> int:
    """Enter an item of which nothing is known yet; return how many there are now."""
    s.found[found] = item
    s.score[found] = s.best[found] = 0.0
    s.because[found] = s.bought[found] = 0
    s.place[item] = found + 1
    return found + 1


@compiled
def _add(a: Arrays, s: Scratch, slot: int, query: Ints, t: Tables, found: int) -> int:
    """Add a neighbour's items to the scores; return how many items there are now."""
    step = s.matched[slot]
    wanted, length = query[step], a.length[slot]
    match = length - 1
    while match > 0 and a.items[slot, match] != wanted:
        match -= 1
    worth = s.similarity[slot] * t.match[step]
    s.similarity[slot] = 0.0
    if worth == 0.0:
        return found
    for place in range(length):
        distance = place - match
        item, action = a.items[slot, place], a.actions[slot, place]
        weight = t.forward[distance] if distance >= 0 else t.backward[-distance]
        gain = worth * weight * t.action[action]
        if gain == 0.0:
            continue
        if s.place[item] == 0:
            found = _find(s, item, found)
        at = s.place[item] - 1
        s.score[at] += gain
        if gain > s.best[at]:
            s.best[at] = gain
            s.because[at] = step
        if distance > 0 and action == 2:
            s.bought[at] = 1
    return found


@compiled
def score(
    a: Arrays, s: Scratch, t: Tables, query: Ints, weights: Floats, own: int, sessions: int
) -> int:
    """Score every item of the nearest sessions; return how many there are, listed in `found`.

    `query` holds items, the newest first, -1 where one is unknown or occurred later, `weights`
    their weights, `own` the slot of the session itself (-1: none), `sessions` the size of the
    index. `clear` must follow.
    """
    kept = _nearest(a, s, _gather(a, s, query, weights, own), t)
    found = 0
    for place in range(kept):
        found = _add(a, s, s.near[place], query, t, found)
    top, whole = 0.0, np.log(float(sessions))
    for place in range(found):
        item = s.found[place]
        known = max(1, a.sessions[item])
        if known < len(t.log):
            log, power = t.log[known], t.power[known]
        else:
            log, power = np.log(float(known)), float(known) ** t.popularity
        s.score[place] *= (t.base + t.rarity * max(0.0, whole - log)) * power
        top = max(top, s.score[place])
    if top == 0.0:
        top = 1.0
    for step in range(len(query)):
        item = query[step]
        if item >= 0 and t.repeat[step] > 0.0:
            if s.place[item] == 0:
                found = _find(s, item, found)
            at = s.place[item] - 1
            s.score[at] += top * t.repeat[step]
            if s.best[at] == 0.0:
                s.because[at] = step
    return found


@compiled
def clear(s: Scratch, found: int) -> None:
    """Forget what was found."""
    for place in range(found):
        s.place[s.found[place]] = 0


@compiled
def _before(a: Arrays, s: Scratch, place: int, other: int) -> bool:
    if s.score[place] != s.score[other]:
        return bool(s.score[place] > s.score[other])
    return bool(a.tie[s.found[place]] < a.tie[s.found[other]])


@compiled
def leading(a: Arrays, s: Scratch, found: int, hidden: Bytes, limit: int) -> Ints:
    """Return the places of the `limit` greatest scores, the greatest first, of items not hidden."""
    best = np.empty(min(limit, found), np.int32)
    kept = 0
    for place in range(found):
        if hidden[s.found[place]]:
            continue
        if kept == len(best):
            if not _before(a, s, place, best[kept - 1]):
                continue
            kept -= 1
        at = kept
        while at > 0 and _before(a, s, place, best[at - 1]):
            best[at] = best[at - 1]
            at -= 1
        best[at] = place
        kept += 1
    return best[:kept]


class Ranked(NamedTuple):
    """Items, the best first. `because`: the step of the query that spoke most for each."""

    items: Ints
    scores: Floats
    because: Bytes
    bought: Bytes


@compiled
def ranked(a: Arrays, s: Scratch, found: int, hidden: Bytes, limit: int) -> Ranked:
    """Return the best of the items found, none of those marked in `hidden`, and forget the rest."""
    best = leading(a, s, found, hidden, limit)
    told = Ranked(s.found[best], s.score[best], s.because[best], s.bought[best])
    clear(s, found)
    return told


@compiled
def rank(
    a: Arrays,
    s: Scratch,
    t: Tables,
    query: Ints,
    weights: Floats,
    own: int,
    sessions: int,
    hidden: Bytes,
    limit: int,
) -> Ranked:
    """Return the best items for a query (see `score`), none of those marked in `hidden`."""
    found = score(a, s, t, query, weights, own, sessions)
    return ranked(a, s, found, hidden, limit)

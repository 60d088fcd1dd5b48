"""The arrays of the index, and the compiled steps that change them.

A session lies in a slot. An item's postings are the slots of the sessions it occurs in, ascending
by the sessions' keys (when they started): the newest are read first, and which ones are kept does
not depend on the order of arrival. Postings lie in slabs of a common pool that double as they fill
up. This is the index of VMIS-kNN (Kersbergen et al., *Serenade*, SIGMOD 2022), made updatable.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from orchestration.compiled import compiled

SMALLEST = 4
"""Postings in an item's first slab."""
CLASSES = 24
"""Sizes of slabs: 4, 8, 16 and so on, the last cut to the limit of postings."""
NONE = -1
TOP, MOST = 0, 1
"""Places in `state`: the first unused place of the pool; how many postings an item may have."""

Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]


class Arrays(NamedTuple):
    """All of the index. Shapes: S sessions, L items of each, I items, P places in the pool."""

    key: Longs  # S: order of sessions, the newest the greatest
    items: Ints  # S x L, the oldest first
    actions: Bytes  # S x L
    length: Ints  # S: 0 is an empty slot
    slab: Ints  # I: where the item's postings begin in the pool, -1 none
    room: Ints  # I: how many fit there
    used: Ints  # I: how many there are
    sessions: Ints  # I: sessions of the index that hold the item
    tie: Longs  # I: decides between equal scores
    pool: Ints  # P
    free: Ints  # CLASSES: first free slab of each size, -1 none; the slab holds the next
    state: Longs


def empty(sessions: int, length: int, items: int, postings: int, most: int) -> Arrays:
    """Return an index without sessions, of `most` postings an item."""
    return Arrays(
        key=np.zeros(sessions, np.int64),
        items=np.zeros((sessions, length), np.int32),
        actions=np.zeros((sessions, length), np.int8),
        length=np.zeros(sessions, np.int32),
        slab=np.full(items, NONE, np.int32),
        room=np.zeros(items, np.int32),
        used=np.zeros(items, np.int32),
        sessions=np.zeros(items, np.int32),
        tie=np.zeros(items, np.int64),
        pool=np.zeros(postings, np.int32),
        free=np.full(CLASSES, NONE, np.int32),
        state=np.array([0, most], np.int64),
    )


@compiled
def _place(values: Ints, first: int, end: int, wanted: int) -> int:
    for place in range(first, end):
        if values[place] == wanted:
            return place
    return NONE


@compiled
def _size(a: Arrays, size_class: int) -> int:
    return int(min(SMALLEST << size_class, a.state[MOST]))


@compiled
def _class(a: Arrays, postings: int) -> int:
    size_class = 0
    while _size(a, size_class) < postings:
        size_class += 1
    return size_class


@compiled
def _take(a: Arrays, size_class: int) -> int:
    """Return the place of an unused slab."""
    place = a.free[size_class]
    if place >= 0:
        a.free[size_class] = a.pool[place]
        return int(place)
    place = a.state[TOP]
    a.state[TOP] += _size(a, size_class)
    return int(place)


@compiled
def _give_back(a: Arrays, item: int) -> None:
    size_class = _class(a, a.room[item])
    if _size(a, size_class) == a.room[item]:  # not one of before the limit was lowered
        a.pool[a.slab[item]] = a.free[size_class]
        a.free[size_class] = a.slab[item]
    a.slab[item], a.room[item] = NONE, 0


@compiled
def _grow(a: Arrays, item: int) -> None:
    size_class = 0 if a.slab[item] < 0 else _class(a, a.room[item] + 1)
    place = _take(a, size_class)
    old, used = a.slab[item], a.used[item]
    if old >= 0:
        a.pool[place : place + used] = a.pool[old : old + used]
        _give_back(a, item)
    a.slab[item], a.room[item] = place, _size(a, size_class)


@compiled
def _post(a: Arrays, item: int, slot: int, key: int) -> None:
    a.sessions[item] += 1
    if a.used[item] == a.room[item] and a.room[item] < a.state[MOST]:
        _grow(a, item)
    slab, used = a.slab[item], a.used[item]
    place = used
    while place > 0 and a.key[a.pool[slab + place - 1]] > key:
        place -= 1
    if used == a.room[item]:
        if place == 0:
            return  # older than all that are kept
        a.pool[slab : slab + place - 1] = a.pool[slab + 1 : slab + place]
        a.pool[slab + place - 1] = slot
        return
    for later in range(used, place, -1):
        a.pool[slab + later] = a.pool[slab + later - 1]
    a.pool[slab + place] = slot
    a.used[item] += 1


@compiled
def _withdraw(a: Arrays, item: int, slot: int) -> None:
    a.sessions[item] -= 1
    slab, used = a.slab[item], a.used[item]
    place = _place(a.pool, slab, slab + used, slot)
    if place < 0:
        return  # it was not among the newest
    for later in range(place, slab + used - 1):
        a.pool[later] = a.pool[later + 1]
    a.used[item] -= 1
    if a.used[item] == 0:
        _give_back(a, item)


@compiled
def put(a: Arrays, slot: int, key: int, items: Ints, actions: Bytes) -> None:
    """Store a session as it stands, in place of what the slot holds: the newest L of its items.

    The pool must have room (`has_room`).
    """
    first = max(0, len(items) - a.items.shape[1])
    held, before = a.items[slot], a.length[slot]
    moved = key != a.key[slot]
    for place in range(before):
        item = held[place]
        if _place(held, 0, place, item) < 0 and (
            moved or _place(items, first, len(items), item) < 0
        ):
            _withdraw(a, item, slot)
    for place in range(first, len(items)):
        item = items[place]
        if _place(items, first, place, item) < 0 and (moved or _place(held, 0, before, item) < 0):
            _post(a, item, slot, key)
    a.key[slot] = key
    for place in range(first, len(items)):
        held[place - first] = items[place]
        a.actions[slot, place - first] = actions[place]
    a.length[slot] = len(items) - first


def has_room(a: Arrays) -> bool:
    """Return whether the pool takes any session, whatever its items."""
    return bool(a.state[TOP] + a.items.shape[1] * a.state[MOST] <= len(a.pool))


@compiled
def compact(a: Arrays) -> None:
    """Close the gaps of the pool; where that leaves it too full, keep fewer postings an item."""
    while True:
        needed = 0
        for item in range(len(a.slab)):
            if a.slab[item] >= 0:
                needed += _size(a, _class(a, min(a.used[item], a.state[MOST])))
        if 4 * needed <= 3 * len(a.pool) or a.state[MOST] <= SMALLEST:
            break
        a.state[MOST] //= 2
    old = a.pool.copy()
    top = 0
    for item in range(len(a.slab)):
        if a.slab[item] < 0:
            continue
        keep = min(a.used[item], a.state[MOST])
        end = a.slab[item] + a.used[item]
        a.pool[top : top + keep] = old[end - keep : end]
        a.slab[item], a.used[item] = top, keep
        a.room[item] = _size(a, _class(a, keep))
        top += a.room[item]
    a.free[:] = NONE
    a.state[TOP] = top

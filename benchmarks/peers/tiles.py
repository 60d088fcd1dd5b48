"""The rolling job's arithmetic as a good Python program would do it, shared by the peers.

Per key a plain nested list (every state store can serialise it): the newest event time, then for
each ring four parallel lists of its non-empty tiles in ascending order: tile number, count, sum,
max. Folding a window is then a built-in over a list (`sum` of CPython 3.11 adds left to right, as
docs/rolling.md wants): no loop in Python.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

RINGS = ((3_600_000, 24), (21_600_000, 28), (86_400_000, 30))
LONGEST = 2  # the ring that judges what is late
NOTHING = (None,) * 12
State = list[Any]


def empty() -> State:
    """Return the state of a key not seen yet."""
    return [None, [[], [], [], []], [[], [], [], []], [[], [], [], []]]


def apply(state: State, time: int, amount: float) -> tuple[Any, ...]:
    """Put one event into `state` (in place) and return its 12 values.

    Those are count, sum, max and ratio for each ring.
    """
    amount += 0.0
    newest = state[0]
    if newest is None:
        newest = time
    size, kept = RINGS[LONGEST]
    if time // size <= newest // size - kept:
        return NOTHING
    state[0] = newest = max(newest, time)
    values: tuple[Any, ...] = ()
    for (size, kept), ring in zip(RINGS, state[1:], strict=True):
        values += _ring(ring, time // size, newest // size - kept + 1, kept, amount)
    return values


def _ring(
    ring: list[list[Any]], tile: int, floor: int, kept: int, amount: float
) -> tuple[Any, ...]:
    tiles, counts, sums, maxima = ring
    if tiles and tiles[0] < floor:
        gone = bisect_left(tiles, floor)
        del tiles[:gone], counts[:gone], sums[:gone], maxima[:gone]
    if tile < floor:
        return None, None, None, None
    if not tiles or tile > tiles[-1]:
        tiles.append(tile)
        counts.append(1)
        sums.append(0.0 + amount)
        maxima.append(amount)
    else:
        at = bisect_left(tiles, tile)
        if tiles[at] == tile:
            counts[at] += 1
            sums[at] += amount
            maxima[at] = max(maxima[at], amount)
        else:
            tiles.insert(at, tile)
            counts.insert(at, 1)
            sums.insert(at, 0.0 + amount)
            maxima.insert(at, amount)
    if tile != tiles[-1]:  # out of order: not the tiles after it
        end = bisect_right(tiles, tile)
        start = bisect_left(tiles, tile - kept + 1)
        counts, sums, maxima = counts[start:end], sums[start:end], maxima[start:end]
    count, total = sum(counts), sum(sums, 0.0)
    mean = total / count
    return count, total, max(maxima), amount / mean if mean else None

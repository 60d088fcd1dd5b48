"""Half-Space Trees, compiled: bit for bit those of `domain.sensors.detectors.half_space`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from domain.sensors.detectors.half_space import SMALL, Forest, Shape
from orchestration.compiled import compiled

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

LATEST, WHOLE = 0, 1
"""Places in `windows`: the window that fills up, and the last whole one."""


@compiled
def _mass(
    before: Doubles,
    thresholds: Doubles,
    channels: Bytes,
    height: int,
    row: Doubles,
    beside: Ints,
) -> float:
    window = count = len(before)
    for place in range(count):
        beside[place] = place
    node, mass, weight = 0, 0.0, 1.0
    for depth in range(height + 1):
        mass += count * weight
        if count < SMALL * window or depth == height:
            break
        at, channel = thresholds[node], channels[node]
        left = row[channel] < at
        kept = 0
        for place in range(count):
            one = beside[place]
            if (before[one, channel] < at) == left:
                beside[kept] = one
                kept += 1
        count, weight = kept, weight * 2.0
        node = 2 * node + (1 if left else 2)
    return mass


@compiled
def _score_all(
    rows: Doubles,
    windows: Doubles,
    thresholds: Doubles,
    channels: Bytes,
    height: int,
    found: Doubles,
) -> None:
    """Score each row, then learn it. Shapes: rows N x C, windows 2 x W x C, divisions T x I."""
    trees, window = len(thresholds), windows.shape[1]
    most = float(trees * window * (2 ** (height + 1) - 1))
    beside = np.zeros(window, np.int64)
    count, warm = 0, False
    for number in range(len(rows)):
        if warm:
            total = 0.0
            for tree in range(trees):
                total += _mass(
                    windows[WHOLE],
                    thresholds[tree],
                    channels[tree],
                    height,
                    rows[number],
                    beside,
                )
            found[number] = 1 - total / most
        windows[LATEST, count] = rows[number]
        count += 1
        if count == window:
            windows[WHOLE] = windows[LATEST]
            count, warm = 0, True


def scaled(readings: Sequence[float]) -> Doubles:
    """Return where each reading lies between the least and the greatest up to it, from 0 to 1."""
    given = np.asarray(readings, np.float64)
    least, most = np.minimum.accumulate(given), np.maximum.accumulate(given)
    room = most - least
    share: Doubles = np.divide(given - least, room, out=np.zeros(len(given)), where=room > 0)
    return share


def bytes_a_key(shape: Shape) -> int:
    """Return what has to be kept of a key: its rows of two windows."""
    return 2 * shape.window * len(shape.limits) * 8


def score_all(forest: Forest, rows: Sequence[Sequence[float]] | Doubles) -> Doubles:
    """Return the score of each row, made before the row is learnt."""
    shape = forest.shape
    divisions = (shape.trees, shape.inner)
    found = np.zeros(len(rows))
    _score_all(
        np.asarray(rows, np.float64).reshape(len(rows), len(shape.limits)),
        np.zeros((2, shape.window, len(shape.limits))),
        np.frombuffer(forest.thresholds, np.float64).reshape(divisions),
        np.frombuffer(forest.channels, np.uint8).reshape(divisions),
        shape.height,
        found,
    )
    return found

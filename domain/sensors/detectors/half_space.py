"""Half-Space Trees (Tan, Ting & Liu, *Fast Anomaly Detection for Streaming Data*, IJCAI 2011).

River 0.26 is the specification: built from the same seed, a forest gives the same scores to the
bit (`tests/unit/orchestration/test_half_space.py`).
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate

PADDING = 0.15
"""Share of a range at either end in which it is never divided."""
SMALL = 0.1
"""Share of the window below which a node is too light to look into."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a forest is built from; channels are in River's order, that of their names.

    `limits` are the least and greatest value of each channel.
    """

    limits: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
    trees: int = 25
    height: int = 15
    window: int = 250
    seed: int = 1

    @property
    def inner(self) -> int:
        """Nodes of a tree that divide."""
        return (1 << self.height) - 1

    @property
    def nodes(self) -> int:
        """Nodes of a tree."""
        return (2 << self.height) - 1


@dataclass(frozen=True, slots=True)
class Forest:
    """The divisions: of T trees with I inner nodes each, the children of node n at 2n + 1, 2n + 2.

    They depend on the shape alone and never change, so that all keys of a kind share them.
    """

    shape: Shape
    thresholds: array[float]  # T x I
    channels: bytes  # T x I


def built(shape: Shape) -> Forest:
    """Build the divisions, drawing random numbers in River's order: depth first, left to right."""
    rng = random.Random(shape.seed)
    thresholds = array("d", bytes(8 * shape.trees * shape.inner))
    channels = bytearray(shape.trees * shape.inner)

    def divide(tree: int, node: int, ranges: list[tuple[float, float]]) -> None:
        if node >= shape.inner:
            return
        total = list(accumulate(high - low for low, high in ranges))
        channel = rng.choices(range(len(ranges)), cum_weights=total)[0]
        low, high = whole = ranges[channel]
        padding = PADDING * (high - low)
        at = rng.uniform(low + padding, high - padding)
        thresholds[tree * shape.inner + node] = at
        channels[tree * shape.inner + node] = channel
        ranges[channel] = (low, at)
        divide(tree, 2 * node + 1, ranges)
        ranges[channel] = (at, high)
        divide(tree, 2 * node + 2, ranges)
        ranges[channel] = whole

    for tree in range(shape.trees):
        divide(tree, 0, list(shape.limits))
    return Forest(shape, thresholds, bytes(channels))


@cache
def usual() -> Forest:
    """Return the forest of one channel in [0, 1] that is used if nothing else is asked for."""
    return built(Shape())


@dataclass(slots=True)
class HalfSpaceTrees:
    """The rows of this window and of the last whole one; rows have one value a channel.

    River counts rows in every node, a million numbers a key. A node's count is that of the last
    window's rows that go the same way, so the rows themselves say as much: 4 KB of a window of 250
    and one channel, whatever the number and height of the trees.
    """

    forest: Forest
    latest: list[tuple[float, ...]] = field(default_factory=list)
    before: list[tuple[float, ...]] = field(default_factory=list)

    def score(self, row: Sequence[float]) -> float:
        """Return how rare the row is by the last whole window, in [0, 1]; 0 in the first."""
        if not self.before:
            return 0.0
        shape = self.forest.shape
        total = 0.0
        for tree in range(shape.trees):
            total += self._mass(tree * shape.inner, row)
        return 1 - total / (shape.trees * shape.window * shape.nodes)

    def learn(self, row: Sequence[float]) -> None:
        """Take the row in; a full window becomes the one that scores are made from."""
        self.latest.append(tuple(row))
        if len(self.latest) == self.forest.shape.window:
            self.before, self.latest = self.latest, []

    def _mass(self, root: int, row: Sequence[float]) -> float:
        """Return the rows beside this one at each depth, weighted by 2 to the depth, added up."""
        forest, shape = self.forest, self.forest.shape
        beside, node, mass = self.before, 0, 0.0
        for depth in range(shape.height + 1):
            mass += len(beside) * 2**depth
            if len(beside) < SMALL * shape.window or depth == shape.height:
                break
            at, channel = forest.thresholds[root + node], forest.channels[root + node]
            left = row[channel] < at
            beside = [other for other in beside if (other[channel] < at) == left]
            node = 2 * node + (1 if left else 2)
        return mass

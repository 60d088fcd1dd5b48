"""Half-Space Trees have River's bits, and the compiled ones those of the specification."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from river.anomaly import HalfSpaceTrees as River

from domain.sensors.detectors.half_space import HalfSpaceTrees, Shape, built
from orchestration.anomalies.half_space import scaled, score_all

SHAPES = (
    Shape(trees=3, height=12, window=50),
    Shape(((0.0, 1.0), (-5.0, 5.0), (10.0, 10.5)), trees=7, height=6, window=40, seed=7),
    Shape(((0.0, 1.0), (0.0, 1000.0)), trees=10, height=8, window=100, seed=42),
    Shape(((-1.0, 0.0),), trees=4, height=1, window=3, seed=0),
)


def rows(shape: Shape, count: int) -> list[list[float]]:
    """Rows within the limits mostly, some far out, some the same again."""
    rng = random.Random(shape.seed)
    made: list[list[float]] = []
    for _ in range(count):
        spread = rng.choice((0.05, 0.2, 3.0))
        row = [rng.gauss((a + b) / 2, spread * (b - a)) for a, b in shape.limits]
        made.append(rng.choice(made) if made and rng.random() < 0.1 else row)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_scores_are_rivers_to_the_bit(shape: Shape) -> None:
    names = [f"channel-{number}" for number in range(len(shape.limits))]
    river: Any = River(
        n_trees=shape.trees,
        height=shape.height,
        window_size=shape.window,
        limits=dict(zip(names, shape.limits, strict=True)),
        seed=shape.seed,
    )
    forest = built(shape)
    ours, given = HalfSpaceTrees(forest), rows(shape, 3 * shape.window + 10)
    expected, found = [], []
    for row in given:
        named = dict(zip(names, row, strict=True))
        expected.append(float(river.score_one(named)))
        river.learn_one(named)
        found.append(ours.score(row))
        ours.learn(row)
    assert found == expected
    assert len(set(found)) > 3
    np.testing.assert_array_equal(score_all(forest, given), expected)


def test_scaling_looks_at_nothing_that_comes_later() -> None:
    assert list(scaled([5.0, 5.0, 7.0, 6.0, 3.0])) == [0.0, 0.0, 1.0, 0.5, 0.0]


def test_a_rare_reading_scores_above_the_usual() -> None:
    forest = HalfSpaceTrees(built(Shape(trees=10, height=8, window=100)))
    rng = random.Random(1)
    for _ in range(100):
        row = [rng.gauss(0.3, 0.02)]
        assert forest.score(row) == 0.0
        forest.learn(row)
    assert forest.score([0.9]) > 0.99 > forest.score([0.3])
    assert len(forest.before) == 100
    assert forest.latest == []

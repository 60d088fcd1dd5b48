"""Half-Space Trees have River's bits, and the compiled ones those of the specification."""

from __future__ import annotations

import pickle
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.anomaly import HalfSpaceTrees as River

from domain.sensors.detectors.half_space import HalfSpaceTrees, Shape, built
from domain.sensors.detectors.rarity import Rarity, rareness
from orchestration.anomalies.evaluation import methods
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


@pytest.mark.slow
def test_the_jobs_detector_has_rivers_bits_over_its_state_as_it_is_kept() -> None:
    """Of the usual forest, 25 trees of height 15 and windows of 250, as a sensor has it."""
    rng = random.Random(3)
    given = [rng.choice((rng.gauss(20.0, 2.0), 20.0)) for _ in range(800)]
    given[::90] = [rng.uniform(-90.0, 90.0) for _ in given[::90]]
    river: Any = River(n_trees=25, height=15, window_size=250, seed=1)
    one, expected, found, scores = Rarity(), [], [], []
    for reading, share in zip(given, scaled(given), strict=True):
        expected.append(float(river.score_one({"x": float(share)})))
        river.learn_one({"x": float(share)})
        judged = one.judge(reading)
        found.append(judged.raw)
        scores.append(judged.score)
        kept = pickle.dumps(one.dump())
        assert len(kept) < 5_000
        one = Rarity.load(pickle.loads(kept))  # noqa: S301 - its own
    assert found == expected
    assert len(set(found)) > 100
    assert scores == list(methods()["half-space-trees"].scores(given))
    assert any(score >= 0.5 for score in scores)


@settings(deadline=None)
@given(st.integers(0, 1 << 30), st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0])))
def test_bisection_in_one_channel_comes_to_the_specifications_bits(
    seed: int, drawn: list[float]
) -> None:
    forest = built(Shape(trees=3, height=5, window=20, seed=seed))
    slow = HalfSpaceTrees(forest, before=[(0.1 * (n % 7),) for n in range(20)])
    for value in drawn:
        ordered = sorted(row[0] for row in slow.before)
        assert rareness(forest, value, ordered) == slow.score([value])
        slow.learn([value])


def test_what_is_out_of_this_world_or_no_number_does_not_stop_the_jobs_detector() -> None:
    one = Rarity(built(Shape(trees=2, height=3, window=5)))
    for reading in (1e308, -1e308, float("nan"), float("inf"), *range(12)):
        assert 0.0 <= one.judge(float(reading)).score <= 1.0
    assert len(one.before) == 5


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

"""Several channels, and quantiles, by hand and beside another library."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from domain.sensors.detectors.mewma import Mewma, inverted
from domain.sensors.detectors.quantile import AdaptiveThreshold, Quantile, quantile


def rows(count: int, seed: int) -> list[list[float]]:
    """Two channels that go together, and one that never moves."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        x = rng.gauss(50.0, 5.0)
        made.append([x, 3.0 * x + rng.gauss(0.0, 1.0), 7.0])
    return made


def test_scores_are_those_of_a_literal_computation() -> None:
    made = np.array(rows(300, 1))
    made[250:, 1] += 15.0
    one = Mewma(training=200, window=9, settling=20, factor=2.0, ridge=0.02)
    found = [one.score(list(row)) for row in made]
    averages = [made[0]]
    for row in made[1:]:
        averages.append(0.8 * averages[-1] + 0.2 * row)
    settled = np.array(averages[20:200])
    spread = made[:200].var(axis=0)
    covariance = np.cov(settled.T) + 0.02 * np.diag(np.where(spread > 0, spread, 1.0))
    apart = np.array(averages) - settled.mean(axis=0)
    distance = np.einsum("ti,ij,tj->t", apart, np.linalg.inv(covariance), apart)
    share = distance / (2.0 * np.quantile(distance[20:200], 0.99))
    assert found[:200] == [0.0] * 200
    assert found[200:] == pytest.approx(list((share / (1 + share))[200:]))
    assert max(found[200:250]) < 0.5 < min(found[270:])


def test_what_breaks_the_habit_between_channels_is_an_alarm_though_each_is_in_range() -> None:
    one = Mewma()
    assert all(one.score(row) < 0.5 for row in rows(1000, 2))
    assert one.rows == []
    odd = [[40.0, 3.0 * 55.0, 7.0]] * 20
    assert [one.score(row) for row in odd][-1] > 0.5


def test_rows_without_numbers_change_nothing_and_other_channels_are_refused() -> None:
    one, other = Mewma(training=60), Mewma(training=60)
    for row in rows(100, 3):
        assert one.score([math.nan, 1.0, 1.0]) == 0.0
        assert one.score(row) == other.score(row)
    assert one.score([1e308, -1e308, 1e308]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="2 channels, expected 3"):
        one.score([1.0, 2.0])
    with pytest.raises(ValueError, match="more training rows"):
        Mewma(training=51)


def test_channels_that_never_move_raise_no_alarm() -> None:
    one = Mewma()
    assert {one.score([5.0, 5.0]) for _ in range(900)} == {0.0}


def test_the_inverse_by_hand() -> None:
    assert inverted([[4.0, 2.0], [2.0, 2.0]]) == [[0.5, -0.5], [-0.5, 1.0]]


class TestQuantile:
    def test_of_what_is_at_hand(self) -> None:
        assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
        assert quantile([0.0, 10.0], 0.99) == pytest.approx(9.9)
        assert quantile([4.0], 0.3) == 4.0

    def test_has_the_published_example(self) -> None:
        # Table I of Jain & Chlamtac: the median of twenty observations is estimated as 4.44.
        values = (
            *(0.02, 0.15, 0.74, 3.39, 0.83, 22.37, 10.15, 15.43, 38.62, 15.92),
            *(34.60, 10.28, 1.47, 0.40, 0.05, 11.39, 0.27, 0.42, 0.09, 11.37),
        )
        one = Quantile(0.5)
        for value in values:
            one.learn(value)
        assert one.value() == pytest.approx(4.44, abs=0.01)

    def test_is_near_the_exact_one_of_many(self) -> None:
        rng = random.Random(4)
        one = Quantile(0.995)
        values = [rng.expovariate(1.0) for _ in range(20_000)]
        for at, value in enumerate(values):
            assert (one.value() is None) == (at < 5)
            one.learn(value)
        exact = float(np.quantile(values, 0.995))
        assert one.value() == pytest.approx(exact, rel=0.05)


def test_the_adaptive_threshold_is_reached_by_one_score_in_two_hundred() -> None:
    rng = random.Random(5)
    one = AdaptiveThreshold()
    found = [one.score(rng.random()) for _ in range(10_500)]
    assert found[:500] == [0.0] * 500
    assert sum(score >= 0.5 for score in found) == pytest.approx(50, abs=15)
    assert one.score(1.5) > 0.5 > one.score(0.5)

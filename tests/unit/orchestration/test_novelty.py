"""The compiled detectors have the bits of the specification."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.sensors.detectors.novelty import Novelty
from domain.sensors.detectors.shape import ShapeNovelty
from domain.sensors.detectors.value import ValueNovelty
from orchestration.anomalies.novelty import bytes_a_key, judge_all

KINDS = st.sampled_from(("noise", "few", "same", "wild", "far"))


def small() -> Novelty:
    return Novelty(values=ValueNovelty(12), shapes=ShapeNovelty(30, 8))


def drawn(seed: int, kind: str) -> float:
    rng = random.Random(seed)
    return {
        "noise": rng.gauss(20.0, 0.1),
        "few": float(rng.randrange(3)),
        "same": 7.0,
        "wild": rng.choice((1e308, -1e18, 1e-300, float("nan"), float("inf"), -0.0)),
        "far": 1e9 + rng.random(),
    }[kind]


@settings(deadline=None)
@given(
    st.lists(st.tuples(KINDS, st.integers(1, 80), st.integers()), min_size=1, max_size=6),
    st.floats(0.0, 0.05),
)
@pytest.mark.slow
def test_novelty_is_the_specifications_to_the_bit(
    parts: list[tuple[str, int, int]], wild: float
) -> None:
    rng = random.Random(len(parts))
    series = [drawn(0, "noise")] * 2 + [
        drawn(seed + at, "wild" if rng.random() < wild else kind)
        for kind, length, seed in parts
        for at in range(length)
    ]
    specification = small()
    expected = np.array([specification.judge(reading) for reading in series])
    np.testing.assert_array_equal(judge_all(series, small()), expected)


def test_a_key_is_within_twelve_kilobytes() -> None:
    assert bytes_a_key() < 12_000

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fraud.policy import Thresholds, reasons


@pytest.mark.parametrize(
    ("score", "decision"),
    [
        (0.0, "approve"),
        (0.29, "approve"),
        (0.3, "review"),
        (0.79, "review"),
        (0.8, "block"),
        (1.0, "block"),
    ],
)
def test_a_score_that_equals_a_threshold_has_reached_it(score: float, decision: str) -> None:
    assert Thresholds(review=0.3, block=0.8).decide(score) == decision


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4).map(sorted))
def test_a_higher_score_is_never_judged_milder(values: list[float]) -> None:
    order = {"approve": 0, "review": 1, "block": 2}
    for review, block in [(values[0], values[3]), (values[1], values[2])]:
        decided = [order[Thresholds(review, block).decide(score)] for score in values]
        assert decided == sorted(decided)


@pytest.mark.parametrize(
    ("review", "block", "message"),
    [
        (-0.1, 0.5, "review is -0.1"),
        (0.1, 1.5, "block is 1.5"),
        (math.nan, 0.5, "review"),
        (0.9, 0.5, "above block"),
    ],
)
def test_thresholds_are_probabilities_in_order(review: float, block: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Thresholds(review, block)


@pytest.mark.parametrize("score", [math.nan, -0.01, 1.01])
def test_what_is_no_probability_is_not_decided(score: float) -> None:
    with pytest.raises(ValueError, match="not between 0 and 1"):
        Thresholds(0.3, 0.8).decide(score)


def test_reasons_are_what_pushed_up_most() -> None:
    pushed = {
        "b": 1.0,
        "a": 1.0,
        "down": -3.0,
        "most": 2.0,
        "little": 0.1,
        "nothing": 0.0,
        "odd": math.nan,
    }
    assert reasons("block", pushed) == ("most", "a", "b")
    assert reasons("review", pushed, most=10) == ("most", "a", "b", "little")
    assert reasons("approve", pushed) == ()

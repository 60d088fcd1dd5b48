from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.retraining.gate import Champion, Limits, Verdict, judge
from orchestration.training.paired import Difference

LIMITS = Limits(
    counts={"rows": 100, "frauds": 10}, worse_by={"ap": 0.02, "cp": 0.05}, at_least={"ap": 0.1}
)
GOOD = {"rows": 100.0, "frauds": 10.0, "ap": 0.5, "cp": 0.3}
UNTIL = 1000


def verdict(metrics: dict[str, float], champion: Champion | None, **more: Any) -> Verdict:
    return judge("new", {**GOOD, **metrics}, UNTIL, champion, LIMITS, **more)


def old(**metrics: float) -> Champion:
    return Champion("old", {**GOOD, **metrics}, until=UNTIL - 1)


@pytest.mark.parametrize(
    ("metrics", "champion", "passes"),
    [
        ({}, None, True),
        ({}, old(), True),
        ({"ap": 0.48}, old(), True),
        ({"ap": 0.479}, old(), False),
        ({"cp": 0.25}, old(), True),
        ({"cp": 0.249}, old(), False),
        ({"ap": 0.9}, old(cp=0.36), False),
        ({"rows": 99.0}, None, False),
        ({"frauds": 9.0}, None, False),
        ({"ap": 0.099}, None, False),
        ({"ap": 0.1}, old(ap=0.11), True),
        ({"ap": math.nan}, None, False),
        ({"cp": math.nan}, old(), False),
        ({}, old(cp=math.nan), False),
    ],
)
def test_not_worse_than_the_champion_by_more_than_the_limit(
    metrics: dict[str, float], champion: Champion | None, passes: bool
) -> None:
    found = verdict(metrics, champion)
    assert found.passed is passes
    assert bool(found.reasons) is not passes
    assert found.document()["passed"] is passes


def test_the_reason_says_by_how_much() -> None:
    assert verdict({"ap": 0.4}, old()).reasons == (
        "ap 0.4000, champion 0.5000, at most 0.0200 worse",
    )


def apart(high: float) -> Champion:
    one = Difference(-0.01, -0.02, high, "customers", 50, 400)
    return Champion("old", {**GOOD, "ap": 0.51}, UNTIL - 1, {"ap": one})


@pytest.mark.parametrize(
    ("high", "passes"), [(-0.0001, False), (0.0, True), (0.01, True), (math.nan, False)]
)
def test_what_is_surely_worse_is_refused_though_it_is_close(high: float, passes: bool) -> None:
    assert verdict({}, apart(high)).passed is passes


def test_what_is_surely_worse_passes_where_that_is_allowed() -> None:
    allowed = replace(LIMITS, surely_worse=True)
    assert judge("new", GOOD, UNTIL, apart(-0.0001), allowed).passed
    assert not judge("new", {**GOOD, "ap": 0.4}, UNTIL, apart(-0.0001), allowed).passed


def test_what_is_surely_worse_is_told_in_numbers() -> None:
    assert verdict({}, apart(-0.005)).reasons == (
        "surely worse: ap against champion -0.0100, -0.0200 to -0.0050 in 95% of 400 draws of 50 "
        "customers",
    )


def test_older_data_never_take_the_place_of_newer() -> None:
    newer = Champion("old", GOOD, until=UNTIL + 1)
    assert verdict({"ap": 0.9, "cp": 0.9}, newer).reasons == ("data older than that of old",)
    assert verdict({}, Champion("old", GOOD, until=UNTIL)).passed


def test_a_champion_that_cannot_be_measured_leaves_the_floors() -> None:
    blind = Champion("old", None, until=1)
    assert verdict({"ap": 0.1}, blind).passed
    assert not verdict({"ap": 0.05}, blind).passed


def test_what_a_person_withdrew_is_not_brought_back() -> None:
    assert verdict({}, old(), withdrawn=True).reasons == ("new was withdrawn by a person",)


def test_the_champion_itself_is_not_compared_with_itself() -> None:
    same = Champion("new", {**GOOD, "ap": 0.9}, until=UNTIL + 5)
    assert verdict({}, same).passed


@given(own=st.floats(0, 1), its=st.floats(0, 1))
def test_whatever_passes_is_close_to_the_champion_or_better(own: float, its: float) -> None:
    passed = verdict({"ap": own, "rows": 1e6}, old(ap=its)).passed
    assert passed == (own >= 0.1 and own >= its - 0.02)

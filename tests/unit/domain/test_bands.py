"""Bands of the same hour of the days before, and alerts once a crossing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.shop.bands import CLEAR, DAYS, LEAST, OPEN, Band, Hour, band, before, judge, usual

HOUR, DAY = 3_600_000, 86_400_000
NUMBERS = st.lists(st.integers(0, 10**9), min_size=LEAST, max_size=DAYS)


def test_the_days_before_are_those_of_the_same_time() -> None:
    days = before(100 * DAY + HOUR)
    assert len(days) == DAYS
    assert (days[0], days[-1]) == (99 * DAY + HOUR, 72 * DAY + HOUR)


def test_a_band_by_hand() -> None:
    found = band([10, 12, 9, 11, 500, 10, 8])
    assert found is not None
    # The median is 10; of 0, 2, 1, 1, 490, 0, 2 it is 1.
    assert found == Band(10, 1.4826, 7)
    assert found.high == pytest.approx(15.1891)
    assert found.low == pytest.approx(4.8109)
    assert band([10] * 6) is None, "too few days"
    assert band([10] * 7) == Band(10, 0.5, 7), "a twentieth at least"
    assert band([0] * 7, noise=0.2) == Band(0, 0.2, 7)


def test_what_was_never_anything_but_nothing_is_infinitely_far() -> None:
    found = band([0.0] * 7)
    assert found is not None
    assert found.away(0.0) == 0.0
    assert math.isinf(found.away(1.0))


@given(NUMBERS, st.integers(0, 2**31))
def test_less_than_half_of_the_days_move_a_band_no_further_than_the_others_go(
    values: list[int], wild: int
) -> None:
    """The breakdown point of median and MAD: half."""
    few = (len(values) - 1) // 2
    good = values[few:]
    found = band([*good, *[10**12 + wild] * few])
    assert found is not None
    assert min(good) <= found.median <= max(good)
    assert found.deviation <= max(1.4826 * (max(good) - min(good)), 0.05 * max(good))


def test_few_visitors_are_far_from_the_usual_by_chance() -> None:
    days = [Hour(0, viewed=1000, purchased=100 + place % 2) for place in range(9)]
    few, many = (Hour(0, viewed=viewed, purchased=0) for viewed in (10, 5000))
    for hour, unusual in ((few, False), (many, True)):
        about = usual("path_conversion", days, hour.viewed)
        assert about is not None
        assert (about.away(hour.figure("path_conversion") or 0.0) > OPEN) is unusual


def test_an_alert_opens_once_and_clears_well_within_the_band() -> None:
    days = [Hour(0, gmv_minor=1000 + 100 * (place % 3 - 1)) for place in range(9)]
    about = usual("gmv_minor", days)
    assert about is not None
    between = int(about.median + (OPEN + CLEAR) / 2 * about.deviation)
    states = []
    opened: dict[str, int] = {}
    for place, value in enumerate([between, 2000, between, 2500, 1000, 1000]):
        after, told = judge(Hour(place * HOUR, gmv_minor=value), days, opened)
        opened = dict(after)
        states.append([one.state for one in told])
    assert states == [[], ["open"], [], [], ["cleared"], []]
    alert = judge(Hour(5 * HOUR, gmv_minor=2000), days, {})[1][0]
    assert (alert.kind, alert.entity, alert.severity) == ("GMV_OUT_OF_BAND", "shop", "warning")
    assert alert.event_time == alert.opened_at == 6 * HOUR
    assert alert.details["side"] == "above"
    assert judge(Hour(0), days, {})[1][0].severity == "critical", "no GMV at all"


def test_an_hour_without_viewers_has_no_conversion_and_changes_nothing() -> None:
    days = [Hour(0, gmv_minor=0, viewed=100, purchased=9) for _ in range(9)]
    opened = {"path_conversion": 7}
    assert judge(Hour(HOUR), days, opened) == (opened, ())
    assert judge(Hour(HOUR, gmv_minor=10**9), days[:6], {}) == ({}, ()), "too few days to say"

"""Payments far from the mean of their minute, by hand and against the standard library."""

from __future__ import annotations

import random
import statistics

import pytest

from domain.events import Transaction
from domain.fraud.outliers import exact, outliers, windows

T = 1_700_000_040_000  # a whole minute


def payment(second: float, amount: float, name: str = "") -> Transaction:
    return Transaction(
        transaction_id=name or f"{second}",
        event_time=T + round(second * 1000),
        customer_id="c",
        terminal_id="t",
        amount=amount,
    )


def test_a_payment_is_in_two_windows_of_a_minute() -> None:
    assert list(windows(T)) == [T - 30_000, T]
    assert list(windows(T + 29_999)) == [T - 30_000, T]
    assert list(windows(T + 30_000)) == [T, T + 30_000]


def test_one_among_many_alike_is_told_of_once_by_the_first_window_that_finds_it() -> None:
    made = [payment(second, 50.0) for second in range(30, 50)] + [payment(55, 950.0, "far")]
    (found,) = outliers(made)
    # Of 21 values one differs: z = (21 - 1) / sqrt(21 - 1).
    assert found.payment.transaction_id == "far"
    assert found.window_start == T
    assert found.payments == 21
    assert found.z == pytest.approx(20**0.5)
    assert found.mean == pytest.approx((20 * 50 + 950) / 21)


def test_of_ten_none_can_be_far_off_and_of_equal_ones_none_is() -> None:
    assert outliers([payment(n, 1.0) for n in range(9)] + [payment(9, 1e6)]) == []
    assert len(outliers([payment(n, 1.0) for n in range(10)] + [payment(10, 1e6)])) == 1
    assert outliers([payment(n, 0.1) for n in range(29)]) == []


def test_what_comes_twice_counts_once_and_what_comes_too_late_does_not_count() -> None:
    made = [payment(n, 50.0) for n in range(12)] + [payment(12, 950.0, "far")]
    assert [one.payments for one in outliers([*made, *made])] == [13]
    assert outliers([payment(400, 1.0), *made]) == []
    assert len(outliers([payment(359, 1.0), *made])) == 1, "its minute is over after 360 s"


def test_amounts_are_exact_to_four_places_and_bounded() -> None:
    assert [str(exact(one)) for one in (0.1, 2.00005, -3.0, 1e300)] == [
        "0.1000",
        "2.0001",
        "-3.0000",
        "1000000000.0000",
    ]


def test_each_window_agrees_with_the_standard_librarys_deviation() -> None:
    chance = random.Random(13)
    made = [
        payment(chance.uniform(0, 600), round(chance.lognormvariate(4, 1.2), 2), f"p{n}")
        for n in range(1_500)
    ]
    made.sort(key=lambda one: one.event_time)
    told: dict[str, int] = {}
    for start in range(T - 30_000, T + 600_000, 30_000):
        held = [one for one in made if start <= one.event_time < start + 60_000]
        for one in held:
            amounts = [other.amount for other in held]
            off = one.amount - statistics.fmean(amounts)
            if abs(off) > 3 * statistics.pstdev(amounts):
                told.setdefault(one.transaction_id, start)
    found = outliers(made)
    assert len(told) > 10
    assert {one.payment.transaction_id: one.window_start for one in found} == told

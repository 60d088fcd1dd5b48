"""When an item runs out: by hand, by the equation it solves, and by throwing dice."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.inventory.demand import DAY_MS, Z_80, Demand, Rate, rate, run_out
from domain.inventory.forecast import run_out_by
from domain.inventory.policy import Terms, reorder, suggest_price

NOW = 1_760_000_000_000
HOUR = DAY_MS // 24

rates = st.builds(
    Rate,
    st.floats(0.01, 500),
    st.floats(1, 20),
    st.floats(1, 14),
    st.none() | st.floats(0, 4),
)
levels = st.floats(0.5, 100_000)


def demand(*units: float, at: int = NOW, days: float = 100, squared: float = 0.0) -> Demand:
    one, day, week, month = units
    return Demand(at, at - round(days * DAY_MS), (one, day, week, month), squared)


def test_ten_a_day_last_ten_days_for_a_hundred() -> None:
    sells = rate(demand(0, 10, 70, 280, squared=280), NOW)
    assert (sells.per_day, sells.dispersion, sells.trend) == (10, 1, 1)
    found = run_out(100, sells)
    assert found.days == 10
    assert found.latest is not None
    # 10 D ± 1.2816 sqrt(10 D + 10 D²/14) = 100
    assert found.earliest == pytest.approx(8.50, abs=0.01)
    assert found.latest == pytest.approx(11.90, abs=0.01)


def test_an_item_known_for_two_days_is_measured_over_two_days() -> None:
    assert rate(demand(0, 4, 8, 8, days=2), NOW).per_day == 4


def test_what_stops_selling_runs_out_later_and_later_and_then_never() -> None:
    last = demand(2, 10, 70, 280, squared=280)
    days = [run_out(100, rate(last, NOW + day * DAY_MS)).days for day in (0, 1, 3, 7, 20, 27)]
    assert days[0] == 10
    assert all(one is not None for one in days)
    assert sorted(days, key=lambda one: one or 0) == days
    never = run_out(100, rate(last, NOW + 28 * DAY_MS))
    assert (never.days, never.latest) == (None, None)
    # Of a Poisson process no sale in 14 days leaves a tenth for rates above ln(10) / 14.
    assert never.earliest == pytest.approx(100 / (math.log(10) / 14))


def test_what_is_gone_runs_out_now() -> None:
    for level in (0, -3):
        found = run_out(level, rate(demand(0, 10, 70, 280), NOW))
        assert (found.days, found.earliest, found.latest) == (0, 0, 0)


@given(st.lists(st.floats(0, 50), min_size=4, max_size=4), st.integers(0, 40 * DAY_MS))
def test_time_alone_only_lets_demand_fall_and_windows_start_at_what_was_counted(
    parts: list[float], passed: int
) -> None:
    units = [sum(parts[: n + 1]) for n in range(4)]
    one = demand(*units)
    for days, counted in zip((1 / 24, 1, 7, 28), units, strict=True):
        assert one.within(days, NOW) == pytest.approx(counted)
        later = one.within(days, NOW + passed)
        assert 0 <= later <= counted + 1e-9
        assert later >= one.within(days, NOW + passed + HOUR) - 1e-9


@given(levels, rates)
def test_bounds_solve_what_they_claim(level: float, sells: Rate) -> None:
    found = run_out(level, sells)
    assert found.days is not None
    assert found.earliest <= found.days
    assert sells.most(found.earliest, Z_80) == pytest.approx(level, rel=1e-6)
    if found.latest is None:  # however long one waits, a slow tenth has some left
        assert all(sells.most(10.0**power, -Z_80) < level for power in range(7))
    elif found.latest < 1e6:
        assert found.latest >= found.days
        assert sells.most(found.latest, -Z_80) == pytest.approx(level, rel=1e-4)


@given(levels, levels, rates)
def test_more_stock_lasts_longer(one: float, other: float, sells: Rate) -> None:
    less, more = (run_out(level, sells) for level in sorted((one, other)))
    assert less.days is not None
    assert more.days is not None
    assert less.days <= more.days
    assert less.earliest <= more.earliest * (1 + 1e-12)


def test_four_of_five_shops_run_out_within_the_interval() -> None:
    """Orders of one to five units at random moments; the rate is estimated from 14 days."""
    dice, within, shops = random.Random(7), 0, 600
    for _ in range(shops):
        orders: list[tuple[float, int]] = []
        day = -14.0
        while sum(units for when, units in orders if when > 0) < 60:
            day += dice.expovariate(2.0)
            orders.append((day, dice.randint(1, 5)))
        before = [units for when, units in orders if when <= 0]
        sold = sum(before)
        sells = Rate(sold / 14, sum(u * u for u in before) / max(1, sold), 14.0, 1.0)
        left, gone = 60, 0.0
        for when, units in orders:
            if when > 0 and left > 0:
                left, gone = left - units, when
        found = run_out(60, sells)
        within += found.earliest <= gone <= (found.latest or math.inf)
    assert 0.75 <= within / shops <= 0.87


def test_what_is_ordered_lasts_for_lead_and_review() -> None:
    sells = Rate(10.0, 1.0, 14.0, 1.0)
    point = 70 + 1.6448536 * math.sqrt(10 * (7 + 49 / 14))
    target = 140 + 1.6448536 * math.sqrt(10 * (14 + 196 / 14))
    for level, quantity in ((90, 0), (80, math.ceil(target - 80)), (-5, math.ceil(target + 5))):
        found = reorder(level, sells, Terms())
        assert (found.point, found.target) == pytest.approx((point, target))
        assert found.quantity == quantity
    assert reorder(80, sells, Terms(pack=12)).quantity == 12 * math.ceil((target - 80) / 12)
    assert reorder(0, Rate(0.0, 1.0, 14.0, None), Terms()).quantity == 0


@given(st.floats(-50, 5000), rates, st.floats(0.5, 60), st.integers(1, 48))
def test_an_order_reaches_the_target_by_less_than_a_pack(
    level: float, sells: Rate, lead: float, pack: int
) -> None:
    found = reorder(level, sells, Terms(lead_days=lead, pack=float(pack)))
    assert found.point <= found.target
    if level > found.point:
        assert found.quantity == 0
    else:
        assert found.quantity % pack == 0
        assert found.target <= level + found.quantity + 1e-6
        assert level + found.quantity < found.target + pack + 1e-6


@given(
    levels,
    rates,
    st.floats(0.05, 1000),
    st.none() | st.floats(0.01, 500),
    st.none() | st.floats(0.01, 2000),
)
def test_a_price_stays_within_its_bounds_and_goes_by_cover_and_trend(
    level: float, sells: Rate, price: float, least: float | None, most: float | None
) -> None:
    found = suggest_price(level, sells, Terms(price=price, price_least=least, price_most=most))
    assert found is not None
    assert found.least <= found.price <= found.most
    assert least is None or found.least == least
    assert found.reason
    cover, trend = level / sells.per_day, sells.trend
    if trend is not None and found.least <= price <= found.most:
        if 7 <= cover <= 56:
            assert found.price == pytest.approx(price, abs=0.0051)
        elif cover < 7:
            assert found.price >= price - 0.0051
            assert trend >= 0.8 or found.price <= price + 0.0051
        else:
            assert found.price <= price + 0.0051


def test_prices_by_hand() -> None:
    terms = Terms(price=10.0, price_most=10.4)
    short = suggest_price(35, Rate(10.0, 1.0, 14.0, 1.1), terms)
    assert short is not None
    assert (short.price, short.most) == (10.4, 10.4)  # half a step up is 10.50
    assert "lasts 3.5 days" in short.reason
    lies = suggest_price(5000, Rate(10.0, 1.0, 14.0, 1.0), terms)
    assert lies is not None
    assert lies.price == 9.0
    assert suggest_price(0, Rate(1.0, 1.0, 14.0, 1.0), terms) is None
    assert suggest_price(5, Rate(1.0, 1.0, 14.0, 1.0), Terms()) is None


FORECAST = {
    "origin": NOW,
    "horizon_days": [7, 14, 28],
    "units": [70.0, 140.0, 280.0],
    "lower_80": [35.0, 70.0, 140.0],
    "upper_80": [140.0, 280.0, 560.0],
    "daily": [10.0] * 28,
}


def test_a_forecast_of_ten_a_day_and_half_or_twice_that() -> None:
    found = run_out_by(FORECAST, 100.0, NOW)
    assert found is not None
    assert (found.days, found.earliest, found.latest) == (10, 5, 20)
    later = run_out_by(FORECAST, 100.0, NOW + DAY_MS // 2)
    assert later is not None
    assert later.days == pytest.approx(10)
    beyond = run_out_by(FORECAST, 1000.0, NOW + 8 * DAY_MS)
    assert beyond is not None
    assert (beyond.days, beyond.earliest, beyond.latest) == (None, 20, None)
    assert run_out_by(FORECAST, 100.0, NOW + 28 * DAY_MS) is None
    assert run_out_by(FORECAST, 100.0, NOW - 1) is None

"""Sales and panels by hand: cancellations, closed days, what is known when."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from config.errors import UserError
from domain.inventory.demand import DAY_MS
from orchestration.inventory.panel import Panels, weekdays
from orchestration.inventory.sales import Sales, from_events, number_of
from tests.unit.orchestration.shop_sales import DAYS, FIRST, HOLIDAY, HOUR, events, table

SALE, BACK = "transaction", "cancellation"


def at(day: int, hour: int = 10) -> int:
    return (FIRST + day) * DAY_MS + hour * HOUR


def sales(*rows: tuple[str, int, str, str, int]) -> Sales:
    return from_events(
        table([(kind, when, who, item, 2.0, units) for kind, when, who, item, units in rows]), "x"
    )


def units(found: Sales, day: int, known_by: int) -> float:
    panels = Panels(found)
    return float(panels.sold(FIRST + day, FIRST + day + 1, FIRST + known_by).sum())


def test_a_cancellation_takes_from_the_latest_sale_of_its_customer_once_it_is_known() -> None:
    found = sales(
        (SALE, at(0), "ann", "a", 5),
        (SALE, at(1), "ann", "a", 4),
        (SALE, at(1), "bob", "a", 9),
        (BACK, at(3), "ann", "a", 6),
    )

    assert units(found, 1, known_by=3) == 13
    assert units(found, 1, known_by=4) == 9
    assert units(found, 0, known_by=4) == 3


@pytest.mark.parametrize(
    "back",
    [
        (BACK, at(9), "ann", "a", 5),
        (BACK, at(1), "bob", "a", 5),
        (BACK, at(1), "ann", "b", 5),
        (BACK, at(0, 9), "ann", "a", 5),
    ],
    ids=["later than a week", "of another customer", "of another item", "before its sale"],
)
def test_a_cancellation_of_nothing_takes_nothing(back: tuple[str, int, str, str, int]) -> None:
    found = sales((SALE, at(0), "ann", "a", 5), back)

    assert found.units.sum() == 5


def test_a_sale_is_taken_back_once() -> None:
    found = sales(
        (SALE, at(0), "ann", "a", 5), (BACK, at(1), "ann", "a", 4), (BACK, at(2), "ann", "a", 4)
    )

    assert units(found, 0, known_by=2) == 1
    assert units(found, 0, known_by=9) == 0


def test_what_costs_nothing_is_no_sale() -> None:
    rows = [(SALE, at(0), "ann", "a", price, 5) for price in (0.0, 1.0)]

    assert from_events(table(rows), "x").units.sum() == 5


def test_no_sale_is_refused() -> None:
    with pytest.raises(UserError, match="x holds no sale"):
        sales((BACK, at(0), "ann", "a", 1))


def test_closed_weekdays_and_holidays() -> None:
    panel = Panels(from_events(events(), "x")).at(FIRST + DAYS)

    assert np.flatnonzero(panel.closed_weekdays).tolist() == [5]
    shut = panel.days[~panel.open]
    assert set(shut[weekdays(shut) != 5].tolist()) == {HOLIDAY}
    assert int(panel.profile.argmax()) == 3
    shares = panel.shares(14)
    assert shares.sum() == pytest.approx(1)
    assert np.flatnonzero(shares == 0).tolist() == [5, 12]


def test_announced_days_are_closed() -> None:
    panel = Panels(from_events(events(), "x"), [FIRST + DAYS + 1]).at(FIRST + DAYS)

    assert panel.ahead(7).tolist() == [True, False, True, True, True, False, True]


def test_a_monday_is_weekday_0() -> None:
    assert weekdays(np.array([FIRST, FIRST + 6])).tolist() == [0, 6]
    assert number_of(date(1970, 1, 2)) == 1


def test_single_large_orders_are_cut_down_to_six_medians() -> None:
    rows = [(SALE, at(day), "ann", "a", 2) for day in range(5)]
    panel = Panels(sales(*rows, (SALE, at(5), "ann", "a", 400))).at(FIRST + 6)

    # The quantile .9 of 2, 2, 2, 2, 2, 400 is 201; six medians are 12.
    assert panel.capped[0].tolist() == [2, 2, 2, 2, 2, 201]

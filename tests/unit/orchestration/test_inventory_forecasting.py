"""Forecasts ready for the topic: what adds up, what an uplift changes, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from config.errors import UserError
from domain.events import DemandForecast
from domain.inventory.demand import DAY_MS
from domain.inventory.forecasts import HORIZONS, NEW_DAYS, Uplift, Uplifts
from ingestion import schema
from ingestion.wire.encode import RecordEncoder
from orchestration.inventory.forecasting import Asked, Forecasts, forecast
from orchestration.inventory.panel import Panels
from orchestration.inventory.sales import day_of, from_events
from tests.unit.orchestration.shop_sales import DAYS, FIRST, events

ORIGIN = FIRST + DAYS
MADE = ORIGIN * DAY_MS + 5


def quiet(_name: str, _total: int | None) -> Callable[[int], None]:
    return lambda _: None


def made(rows: pa.Table | None = None, origin: int = ORIGIN, **asked: Any) -> Forecasts:
    panels = Panels(from_events(events() if rows is None else rows, "x"))
    return forecast(panels, Asked(origin, MADE, **asked), quiet)


def by_item(found: Forecasts) -> dict[str, DemandForecast]:
    return {one.item_id: one for one in found.records}


@pytest.fixture(scope="module")
def ours() -> Forecasts:
    return made(origin=FIRST + 140)


@pytest.fixture(scope="module")
def plain() -> Forecasts:
    return made(method="tsb", categories={"i00": "toys", "i01": "toys", "i02": "hats"})


@pytest.mark.slow
def test_records_agree_with_themselves_and_with_the_contract(ours: Forecasts) -> None:
    encoder = RecordEncoder(schema.load("DemandForecast"))
    assert ours.document["method"] == "lightgbm"
    for one in ours.records:
        assert encoder.record(asdict(one))
        assert one.horizon_days == HORIZONS
        assert sum(one.daily) == pytest.approx(one.units[-1])
        assert list(one.units) == sorted(one.units)
        closed = [day for day in range(28) if (one.origin // DAY_MS + day - FIRST) % 7 == 5]
        assert [one.daily[day] for day in closed] == [0.0] * 4
        for at in range(3):
            bounds = one.lower_95[at], one.lower_80[at], one.upper_80[at], one.upper_95[at]
            assert list(bounds) == sorted(bounds)
            assert bounds[0] >= 0


@pytest.mark.slow
def test_items_sold_lately_for_the_first_time_are_new(ours: Forecasts) -> None:
    rows = events()
    first: dict[str, int] = {}
    for item, when in zip(rows["item_id"].to_pylist(), rows["event_time"].to_pylist(), strict=True):
        first.setdefault(item, when // DAY_MS)
    origin = FIRST + 140

    assert {one.item_id for one in ours.records} == {
        item for item, day in first.items() if day < origin
    }
    for one in ours.records:
        assert one.is_new == (origin - first[one.item_id] < NEW_DAYS)


def test_an_uplift_changes_its_items_on_its_days_alone(plain: Forecasts) -> None:
    begin = day_of(ORIGIN + 7)
    uplifts = Uplifts((Uplift("item", "i02", 2.0), Uplift("category", "toys", 3.0, begin)))
    categories = {"i00": "toys", "i01": "toys", "i02": "hats"}
    before = by_item(plain)
    found = by_item(made(method="tsb", uplifts=uplifts, categories=categories))

    for name, one in found.items():
        old = before[name]
        if name == "i02":
            assert one.units == pytest.approx([2 * units for units in old.units])
            assert one.upper_80 == pytest.approx([2 * units for units in old.upper_80])
            assert one.uplift == pytest.approx(2)
        elif name in ("i00", "i01"):
            assert one.daily == pytest.approx((*old.daily[:7], *(3 * day for day in old.daily[7:])))
            assert one.units[0] == pytest.approx(old.units[0])
            assert one.units[2] == pytest.approx(sum(one.daily))
        else:
            assert one == old


@pytest.mark.slow
def test_more_days_have_no_fewer_units_nor_lower_bounds(ours: Forecasts) -> None:
    for one in ours.records:
        for ascending in (one.units, one.lower_95, one.lower_80, one.upper_80, one.upper_95):
            assert list(ascending) == sorted(ascending)


def test_levels_are_told_beside_one_another(plain: Forecasts) -> None:
    told, items = plain.document, by_item(plain)

    assert told["total"]["items_sum"] == pytest.approx(
        sum(one.units[-1] for one in items.values()), abs=0.1
    )
    assert set(told["categories"]) == {"toys", "hats"}
    hats = told["categories"]["hats"]
    assert hats["items_sum"] == pytest.approx(items["i02"].units[-1], abs=0.1)
    assert hats["gap"] == pytest.approx(hats["items_sum"] / hats["units"] - 1, abs=0.02)
    assert hats["adds_up"] == (abs(hats["gap"]) <= 0.05)


def test_the_version_is_of_the_sales_before_the_origin_alone(plain: Forecasts) -> None:
    rows = events()
    # All that comes later is of an item whose name comes first.
    later = rows.slice(len(rows) - 9)
    later = later.set_column(1, "event_time", pc.add(later["event_time"], 60 * DAY_MS))
    later = later.set_column(3, "item_id", pa.array(["a-new"] * len(later)))
    same = made(pa.concat_tables([rows, later]), method="tsb")
    fewer = made(rows.filter(pc.not_equal(rows["item_id"], "i03")), method="tsb")

    assert same.document["model_version"] == plain.document["model_version"]
    assert fewer.document["model_version"] != plain.document["model_version"]


@pytest.mark.parametrize("method", ["imapa", pytest.param("autotheta", marks=pytest.mark.slow)])
def test_other_methods_on_request(method: str) -> None:
    found = made(method=method)

    assert {one.method for one in found.records} == {method}
    assert all(one.units[-1] >= 0 for one in found.records)


def test_with_little_history_tsb_forecasts_and_with_less_nothing() -> None:
    assert made(origin=FIRST + 60).document["method"] == "tsb"
    with pytest.raises(UserError, match="28 days of sales before the origin; 42 are needed"):
        made(origin=FIRST + 30)
    with pytest.raises(UserError, match="58 days of sales before the origin; 112 are needed"):
        made(origin=FIRST + 60, method="lightgbm")


def test_an_unknown_method_is_told() -> None:
    with pytest.raises(UserError, match="no method 'prophet'"):
        made(method="prophet")


def test_days_are_dates() -> None:
    assert day_of(FIRST) == date(2026, 1, 5)

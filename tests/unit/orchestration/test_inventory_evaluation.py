"""Forecasts look at nothing from the origin on, and their figures are what others compute."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from config.errors import UserError
from config.logging import for_command
from config.settings import Settings
from domain.inventory.demand import DAY_MS
from domain.inventory.forecasts import HORIZONS
from millrace.cli.evaluate import app
from orchestration.inventory import aggregate
from orchestration.inventory.baselines import METHODS, Method, ahead
from orchestration.inventory.boosted import Boosted
from orchestration.inventory.calibration import calibrated
from orchestration.inventory.evaluation import LONGEST, Truth, evaluate, origins
from orchestration.inventory.intervals import learnt
from orchestration.inventory.panel import Panels
from orchestration.inventory.sales import Sales, from_events
from tests.unit.orchestration.shop_sales import DAYS, FIRST, events

losses = pytest.importorskip("utilsforecast.losses")
ORIGIN = FIRST + DAYS - LONGEST
FAST = {name: one for name, one in METHODS.items() if not one.slow}
runner = CliRunner()


@pytest.fixture(autouse=True)
def _logs_to_stderr() -> None:
    for_command(Settings())


def quiet(_name: str, _total: int | None) -> Callable[[int], None]:
    return lambda _: None


def otherwise(rows: pa.Table) -> pa.Table:
    """Return the events with all from the origin on replaced: other units, items, cancellations."""
    early = rows.filter(pc.less(rows["event_time"], ORIGIN * DAY_MS))
    late = early.slice(len(early) - 200)
    shifted = pc.add(late["event_time"], 60 * DAY_MS)
    late = late.set_column(1, "event_time", shifted)
    late = late.set_column(5, "quantity", pc.multiply(late["quantity"], 50))
    news = late.set_column(3, "item_id", pa.array([f"a-new-{at}" for at in range(len(late))]))
    back = late.set_column(0, "event_type", pa.array(["cancellation"] * len(late)))
    return pa.concat_tables([early, late, news, back]).sort_by("event_time")


def by_item(sales: Sales, values: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {name: values[place].tolist() for place, name in enumerate(sales.items)}


def made(rows: pa.Table) -> dict[str, Any]:
    """Return every forecast at the origin, by item."""
    sales = from_events(rows, "x")
    panels = Panels(sales)
    boosted = Boosted(panels)
    found: dict[str, Any] = {}
    for horizon in HORIZONS:
        totals = boosted.totals(ORIGIN, horizon)
        bounds = calibrated(boosted, ORIGIN, horizon, totals)
        found[f"ours {horizon}"] = by_item(sales, totals)
        for level, pair in bounds.items():
            found[f"{level} {horizon}"] = by_item(sales, np.column_stack(pair))
    panel = panels.at(ORIGIN)
    found["sum"] = aggregate.ahead(panel, panel.units.sum(axis=0), LONGEST).tolist()
    for name, method in FAST.items():
        found[name] = by_item(sales, ahead(panel, method, LONGEST))
    return found


@pytest.mark.slow
def test_what_comes_after_the_origin_changes_no_forecast() -> None:
    rows = events()
    one, other = made(rows), made(otherwise(rows))

    for name, forecasts in one.items():
        if isinstance(forecasts, list):
            assert other[name] == forecasts
            continue
        known = {item: value for item, value in other[name].items() if item in forecasts}
        assert known == forecasts, name
        news = [value for item, value in other[name].items() if item not in forecasts]
        assert news
        assert not np.any(news), "an item that is not sold yet is not forecast"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moving average", "SeasonalNaive"])
def test_figures_are_those_of_utilsforecast(name: str) -> None:
    panels = Panels(from_events(events(), "x"))
    at = origins(panels.sales, 2)
    method = METHODS[name]
    found = evaluate(panels, at, {name: method}, workers=1, stage=quiet)["methods"][1]

    errors, scaled, whole = [], [], []
    for origin in at:
        truth = Truth.at(panels, origin)
        daily = ahead(truth.panel, method, LONGEST, truth.items)
        frame, train = long_of(truth, daily)
        totals = frame.groupby("unique_id")[["y", "m"]].sum().reset_index()
        errors.append(totals)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scaled.append(losses.mase(frame, ["m"], 6, train)["m"])
        whole.append(
            pd.DataFrame({"y": truth.sold.sum(axis=0), "m": daily.sum(axis=0), "unique_id": "all"})
        )
    totals = pd.concat(errors).assign(unique_id="all")
    assert found["wape"]["28"] == pytest.approx(losses.nd(totals, ["m"])["m"][0])
    assert found["bias"]["28"] == pytest.approx((totals.m.sum() - totals.y.sum()) / totals.y.sum())
    every = pd.concat(scaled)
    assert found["mase"] == pytest.approx(every[np.isfinite(every)].mean())
    by_day = losses.nd(pd.concat(whole), ["m"])["m"][0]
    assert found["accuracy_by_day"] == pytest.approx(1 - by_day)


def long_of(truth: Truth, daily: np.ndarray[Any, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return forecasts beside what came, and the history, a row an item and open day."""
    panel = truth.panel
    working = panel.ahead(LONGEST)
    past = (panel.days - FIRST) % 7 != 5
    history = panel.units.copy()
    shut = np.flatnonzero(past & (panel.lines.sum(axis=0) == 0))
    for place in shut:  # a holiday counts as the same weekday before
        history[:, place] = history[:, place - 7]
    ahead_rows, train_rows = [], []
    for item in truth.items:
        begin = int(np.flatnonzero(panel.lines[item] > 0)[0])
        for day in np.flatnonzero(working):
            ahead_rows.append((item, day, truth.sold[item, day], daily[item, day]))
        for day in np.flatnonzero(past):
            if day >= begin:
                train_rows.append((item, day, history[item, day]))
    return (
        pd.DataFrame(ahead_rows, columns=["unique_id", "ds", "y", "m"]),
        pd.DataFrame(train_rows, columns=["unique_id", "ds", "y"]),
    )


def test_intervals_hold_the_share_they_promise() -> None:
    random = np.random.default_rng(1)
    forecast = random.gamma(2.0, 10.0, 20_000)
    came = forecast * random.lognormal(0.0, 0.5, 20_000)
    known = learnt([forecast[:10_000]], [came[:10_000]])

    for level, (lower, upper) in known.bounds(forecast[10_000:]).items():
        inside = np.mean((lower <= came[10_000:]) & (came[10_000:] <= upper))
        assert inside == pytest.approx(level / 100, abs=0.02)


def test_intervals_of_small_counts_hold_little_more_than_they_promise() -> None:
    random = np.random.default_rng(2)
    forecast = random.gamma(1.0, 2.0, 20_000)
    came = random.poisson(forecast).astype(float)
    known = learnt([forecast[:10_000]], [came[:10_000]])

    lower, upper = known.bounds(forecast[10_000:])[80]

    inside = np.mean((lower <= came[10_000:]) & (came[10_000:] <= upper))
    assert 0.75 < inside < 0.85


def test_too_short_a_file_is_told() -> None:
    with pytest.raises(UserError, match=r"the data span 60 days; .* are the fewest"):
        origins(from_events(events(days=60), "x"), 3)


def test_fewer_origins_where_there_is_less() -> None:
    sales = from_events(events(), "x")

    assert len(origins(sales, 3)) == 3
    assert 3 < len(origins(sales, 52)) < 52
    assert origins(sales, 1, until=FIRST + 190) == [FIRST + 190 - LONGEST]


def published(folder: Path) -> Path:
    rows = events()
    back = pc.equal(rows["event_type"], "cancellation")
    sign = pc.if_else(back, -1, 1)
    invoices = [f"{'C' if one else ''}{at + 500_000}" for at, one in enumerate(back.to_pylist())]
    table = {
        "InvoiceNo": invoices,
        "StockCode": rows["item_id"],
        "Description": rows["item_id"],
        "Quantity": pc.multiply(rows["quantity"], sign),
        "InvoiceDate": pc.cast(rows["event_time"], pa.timestamp("ms")),
        "UnitPrice": rows["price"],
        "CustomerID": rows["user_id"],
        "Country": pa.array(["United Kingdom"] * len(rows)),
    }
    path = folder / "online_retail.parquet"
    pq.write_table(pa.table(table), path)
    return path


@pytest.mark.slow
def test_the_command_measures_all_methods(tmp_path: Path) -> None:
    path = published(tmp_path)

    done = runner.invoke(
        app, ["inventory", "--data", str(path), "--origins", "4", "--workers", "1", "--json"]
    )

    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    beside = [name for name, one in METHODS.items() if not one.on_request]
    assert [one["method"] for one in found["methods"]] == ["Millrace", *beside]
    for one in found["methods"]:
        assert 0.1 < one["wape"]["28"] < 1.5
        assert one["origins"] == (3 if one["method"] == "AutoETS" else 4)
    ours = found["methods"][0]
    assert 0.5 < ours["coverage"]["28"]["80"] <= 1
    assert ours["coverage"]["28"]["80"] <= ours["coverage"]["28"]["95"]
    naive = next(one for one in found["methods"] if one["method"] == "SeasonalNaive")
    assert ours["wape"]["28"] < naive["wape"]["28"]


def test_a_missing_column_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("InvoiceNo,StockCode,InvoiceDate,UnitPrice,CustomerID\n1,a,2011-01-01,1,1\n")

    done = runner.invoke(app, ["inventory", "--data", str(path)])

    assert isinstance(done.exception, UserError)
    assert "it has no column Quantity" in str(done.exception)


def test_an_unknown_method_is_told(tmp_path: Path) -> None:
    done = runner.invoke(app, ["inventory", "--data", str(published(tmp_path)), "--only", "magic"])

    assert "no method 'magic'" in str(done.exception)


def test_a_method_that_finds_no_model_gives_the_mean() -> None:
    def fails(*_: Any) -> Any:
        raise ValueError("no model able to be fitted")

    panel = Panels(from_events(events(), "x")).at(ORIGIN)
    found = ahead(panel, Method(fails), 7)

    assert np.isfinite(found).all()
    assert found.sum() > 0

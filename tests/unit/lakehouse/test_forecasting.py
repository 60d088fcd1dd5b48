"""`millrace forecast` on a lake: what it reads there, uplifts, and what it tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from config.errors import UserError
from config.settings import settings
from domain.inventory.demand import DAY_MS
from lakehouse.catalog import catalog
from millrace.cli.main import build
from millrace.forecasting import from_lake, origin_of
from orchestration.inventory.sales import day_of
from tests.unit.lakehouse.lakes import append, bronze
from tests.unit.orchestration.shop_sales import DAYS, FIRST, events

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")
UNTIL = day_of(FIRST + DAYS)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_settings: None) -> None:
    del fresh_settings
    monkeypatch.setenv("MILLRACE_STATE_DIR", str(tmp_path / "state"))
    settings.cache_clear()


@pytest.fixture
def lake() -> Iterator[Any]:
    opened = catalog(settings())
    yield opened
    opened.engine.dispose()  # type: ignore[attr-defined]


def _when(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _fill(lake: Any) -> list[dict[str, Any]]:
    """Write the shop's events, each tenth one twice, and views besides."""
    rows = [
        {
            **one,
            "event_id": f"e{at}",
            "event_time": _when(one["event_time"]),
            "transaction_id": f"t{at}",
        }
        for at, one in enumerate(events().to_pylist())
    ]
    views = [{**one, "event_id": f"v{one['event_id']}", "event_type": "view"} for one in rows[:50]]
    append(bronze(lake, "shop_events", "ShopEvent"), "shop-events", [*rows, *rows[::10], *views])
    return rows


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(build("forecast"), ["forecast", *arguments])


def test_an_event_counts_once_and_views_do_not(lake: Any) -> None:
    rows = _fill(lake)

    sales, categories = from_lake(settings(), UNTIL, 730)

    sold = [one["quantity"] for one in rows if one["event_type"] == "transaction"]
    assert sales.units[sales.units > 0].sum() == sum(sold)
    assert categories == {}
    week, _ = from_lake(settings(), UNTIL - timedelta(days=7), 14)
    assert week.first_day >= FIRST + DAYS - 21
    assert week.last_day < FIRST + DAYS - 7


def test_categories_are_those_of_the_day(lake: Any) -> None:
    _fill(lake)
    begin = _when(FIRST * DAY_MS)
    items = [
        {"item_id": "i00", "event_time": begin, "category": "toys", "ancestors": []},
        {
            "item_id": "i00",
            "event_time": begin + timedelta(days=9),
            "category": "hats",
            "ancestors": [],
        },
        {
            "item_id": "i00",
            "event_time": begin + timedelta(days=DAYS + 1),
            "category": "bags",
            "ancestors": [],
        },
    ]
    append(bronze(lake, "shop_items", "ShopItem"), "shop-items", items)

    assert from_lake(settings(), UNTIL, 730)[1] == {"i00": "hats"}


def test_the_command_forecasts_from_the_lake(lake: Any) -> None:
    rows = _fill(lake)
    _run("uplift", "set", "2", "--item", "i03", "--reason", "campaign")

    done = _run(
        *("inventory", "--at", f"{UNTIL}T03:30:00Z", "--method", "tsb"),
        *("--workers", "1", "--dry-run", "--json"),
    )

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["origin"] == UNTIL.isoformat()
    assert told["items"] == len({one["item_id"] for one in rows})
    assert told["uplifted_items"] == 1
    assert told["sent"] == 0
    assert told["total"]["units"] > 0


def test_without_a_lake_the_command_says_so(lake: Any) -> None:
    done = _run("inventory", "--if-possible", "--json")
    assert done.exit_code == 0
    assert "no bronze.shop_events" in json.loads(done.stdout)["reason"]
    assert "no bronze.shop_events" in str(_run("inventory", "--dry-run").exception)


def test_old_sales_are_forecast_from_their_end(lake: Any) -> None:
    _fill(lake)
    sales, _ = from_lake(settings(), UNTIL, 730)

    long_after, _ = from_lake(settings(), UNTIL + timedelta(days=4_000), 730)
    assert long_after.before(FIRST + DAYS).units.tolist() == sales.units.tolist()
    end = sales.last_day + 1
    assert origin_of(sales, end + 7) == end + 7
    assert origin_of(sales, end + 8) == end


def test_uplifts_are_set_listed_and_removed() -> None:
    _run("uplift", "set", "1.5", "--category", "toys", "--from", "2026-12-01")
    listed = json.loads(_run("uplift", "list", "--json").stdout)
    assert listed == {"uplifts": [{"category": "toys", "factor": 1.5, "from": "2026-12-01"}]}

    gone = _run("uplift", "remove", "--category", "toys", "--json")
    assert json.loads(gone.stdout) == {"uplifts": []}
    again = _run("uplift", "remove", "--category", "toys").exception
    assert isinstance(again, UserError)
    assert str(again) == "no uplift of category toys"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("2",), "either --item ID or --category NAME"),
        (("2", "--item", "a", "--category", "b"), "either --item ID or --category NAME"),
        (("101", "--item", "a"), "a factor from 0 to 100"),
        (("2", "--item", "a", "--from", "2026-02-02", "--until", "2026-02-01"), "ends before"),
    ],
)
def test_what_is_no_uplift_is_told(arguments: tuple[str, ...], reason: str) -> None:
    assert reason in str(_run("uplift", "set", *arguments).exception)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("uplifts: 3\n", "`uplifts` is a list of mappings"),
        ("uplifts:\n- {item: a, factor: 2}\n- {item: b}\n", "uplift 2: an uplift needs a factor"),
        ("- 1\n", "not a mapping"),
    ],
)
def test_a_spoilt_file_of_uplifts_is_told(text: str, reason: str) -> None:
    file = settings().state_dir / "forecasts" / "uplifts.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)

    assert reason in str(_run("uplift", "list").exception)


def test_dates_written_by_hand_are_read() -> None:
    file = settings().state_dir / "forecasts" / "uplifts.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("uplifts:\n- {item: a, factor: 2, until: 2026-12-24}\n")

    found = json.loads(_run("uplift", "list", "--json").stdout)
    assert found["uplifts"][0]["until"] == date(2026, 12, 24).isoformat()

"""`/v1/metrics/business` over stored windows: bounds, bands, categories, what is closed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from domain.times import iso
from serving.business import keys
from serving.business.types import Windows
from tests.unit.serving.api_parts import KEY, MemoryValues, assert_problem
from tests.unit.serving.test_business import DAY, HOUR, MINUTE, window

pytestmark = pytest.mark.anyio
PATH = "/v1/metrics/business"


def put(values: MemoryValues, start: int, **changes: Any) -> None:
    values.store.apply([keys.stored(window(start, 0, **changes).record)])


async def told(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get(PATH, params=query, headers=KEY)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    Windows.model_validate(body)
    return body


async def test_windows_of_a_length_lie_between_from_and_to(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    for start in range(5):
        put(values, start * HOUR, window_ms=HOUR)
        put(values, start * HOUR, window_ms=5 * MINUTE)
    query = {"window": "1h", "from": iso(HOUR), "to": "1970-01-01T04:00"}
    first = await told(client, **query, limit=2)
    assert [one["window_start"] for one in first["windows"]] == [iso(3 * HOUR), iso(2 * HOUR)]
    assert {one["window"] for one in first["windows"]} == {first["window"]} == {"1h"}
    second = await told(client, **{**query, "to": first["next"]})
    assert [one["window_start"] for one in second["windows"]] == [iso(HOUR)]
    assert second["next"] is None
    assert len((await told(client, window="5m"))["windows"]) == 5


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"window": "2h"}, "query.window"),
        ({"from": "yesterday"}, "query.from"),
        ({"from": iso(HOUR), "to": iso(HOUR)}, "before"),
    ],
)
async def test_what_is_no_window_is_refused(
    client: httpx.AsyncClient, query: dict[str, str], said: str
) -> None:
    assert_problem(await client.get(PATH, params=query, headers=KEY), 422, said, PATH)


async def test_a_window_is_closed_once_a_minute_well_after_it_has_events(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    for start in (0, MINUTE, 2 * MINUTE):
        put(values, start)
    put(values, 0, window_ms=5 * MINUTE)
    closed = [one["closed"] for one in (await told(client))["windows"]]
    assert closed == [False, False, True]
    assert not (await told(client, window="5m"))["windows"][0]["closed"]


async def test_an_hour_has_the_band_of_the_same_hour_of_the_days_before(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    for day, minor in enumerate([900, 1000, 1100, 1000, 1000, 900, 1100, 5000]):
        put(values, day * DAY, window_ms=HOUR, gmv_minor=minor)
        put(values, day * DAY + HOUR, window_ms=HOUR, gmv_minor=7)
    newest, before = (await told(client, window="1h", limit=4))["windows"][1::2]
    # The median is 1000 and so is that of the deviations 0, 0, 0, 100, 100, 100, 100: 100.
    spread = 3.5 * 1.4826 * 100
    about = newest["band"]["gmv_minor"]
    assert (about["median"], about["days"]) == (1000.0, 7)
    assert about["low"] == pytest.approx(1000 - spread)
    assert about["high"] == pytest.approx(1000 + spread)
    assert newest["band"]["fraud_rate"] is None
    assert before["band"]["gmv_minor"] is None, "six days are too few"
    assert (await told(client, window="1h", band="false"))["windows"][0]["band"] is None
    assert (await told(client, window="1m"))["windows"] == []


async def test_items_have_the_categories_of_now_and_these_are_added_up(
    client: httpx.AsyncClient, values: MemoryValues
) -> None:
    put(
        values,
        0,
        items=("a", "b", "c", "d"),
        item_units=(1, 2, 3, 4),
        item_gmv_minor=(500, 400, 300, 100),
        items_sold=4,
    )
    for item, category in (("b", "shoes"), ("c", "shoes"), ("a", None)):
        record = {"item_id": item, "event_time": 1, "category": category}
        values.store.apply([keys.categorised(record, 1)])
    (one,) = (await told(client, top=2))["windows"]
    assert [item["category"] for item in one["top_items"]] == [None, "shoes"]
    assert one["top_categories"] == [
        {"category": "shoes", "units": 5, "gmv_minor": 700},
        {"category": None, "units": 5, "gmv_minor": 600},
    ]

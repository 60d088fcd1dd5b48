"""Minutes of the shop worked out by hand, from a file of Retail Rocket's form to the API.

Replayed once more, after the TaskManager died, the file changes none of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from config.settings import Settings
from config.topics import topics
from domain.events import ShopEvent
from millrace.stack.harness import Stack
from tests.integration.parts import ends, plug, restarts, until

JOB = "business_metrics"
# 2023-11-14T22:14:00Z: apart from any other test's events of the shop.
START = 1_700_000_040_000
HEADER = "timestamp,visitorid,event,itemid,transactionid"
# Seconds after START: not in order, as Retail Rocket's are not. Rows alike are events of their own
# (20 s), an order may have several lines (10 s) or one without a price (item 103), a buyer several
# orders (241 s, 242 s). The fourth and the sixth minute are empty.
FIRST = """
125.000 20 view 101
10.000  20 transaction 101 900
10.000  20 transaction 102 900
0.000   20 view 101
5.000   20 addtocart 101
20.000  21 view 103
20.000  21 view 103
30.000  23 view 102
59.999  26 view 101
60.000  26 view 101
70.000  21 transaction 103 902
130.000 23 view 102
131.000 23 addtocart 102
255.000 23 view 101
250.000 21 transaction 103 905
250.000 21 transaction 102 905
241.000 20 transaction 101 903
242.000 20 transaction 101 904
361.000 20 view 101
361.000 21 view 101
362.000 23 transaction 102 906
363.000 23 view 101
364.000 26 view 101
"""
LAST = """
490.000 20 view 101
490.000 21 view 101
490.000 23 view 101
490.000 26 view 101
"""
# Item 101 becomes dearer in the empty minute; property 6 is no price.
PRICES = f"""timestamp,itemid,property,value
{START - 86_400_000},101,790,n10.500
{START + 200_000},101,790,n12.000
{START - 86_400_000},102,790,n4.250
{START - 86_400_000},103,6,n99.000
"""
FIELDS = ("orders", "gmv", "unpriced_lines", "active_visitors", "buyers", "conversion", "events")


def _minute(start: str, end: str, *values: float) -> dict[str, Any]:
    bounds = {"window_start": f"2023-11-14T{start}.000Z", "window_end": f"2023-11-14T{end}.000Z"}
    return {**bounds, **dict(zip(FIELDS, values, strict=True))}


# Newest first: orders, gmv, unpriced lines, visitors, buyers, conversion, events.
MINUTES = [
    _minute("22:20:00", "22:21:00", 1, 4.25, 0, 4, 1, 0.25, 5),
    _minute("22:18:00", "22:19:00", 3, 12.0 + 12.0 + 4.25, 1, 3, 2, 2 / 3, 5),
    _minute("22:16:00", "22:17:00", 0, 0.0, 0, 2, 0, 0.0, 3),
    _minute("22:15:00", "22:16:00", 1, 0.0, 1, 2, 1, 0.5, 2),
    _minute("22:14:00", "22:15:00", 2, 10.5 + 4.25 + 3 * 2.5, 0, 6, 2, 2 / 6, 10),
]
LATER = _minute("22:22:00", "22:23:00", 0, 0.0, 0, 4, 0, 0.0, 4)


# Of the hour before the last views. Both 20 and 23 view, fill a cart and buy, in this order; 21
# buys without a cart; 27 buys without a view. No visitor is silent for half an hour.
HOUR = {
    "orders": 7,
    "gmv_minor": 5475,
    "average_order_value": 54.75 / 7,
    "unpriced_lines": 2,
    "active_visitors": 6,
    "buyers": 4,
    "events": 25,
    "viewed": 5,
    "carted": 2,
    "purchased": 2,
    "path_conversion": 0.4,
    "sessions": 6,
    "sessions_viewed": 5,
    "sessions_carted": 2,
    "sessions_purchased": 2,
    "items_sold": 4,
    "top_items": [
        {"item_id": "101", "units": 3, "gmv_minor": 3450, "category": None},
        {"item_id": "102", "units": 3, "gmv_minor": 1275, "category": None},
        {"item_id": "109", "units": 3, "gmv_minor": 750, "category": None},
        {"item_id": "103", "units": 2, "gmv_minor": 0, "category": None},
    ],
}
# From 22:15 to 22:20: 23 fills a cart, but buys later; 20 buys without a cart, 21 without a view.
FIVE = {"orders": 4, "gmv_minor": 2825, "buyers": 2, "viewed": 3, "carted": 1, "purchased": 0}


class Shop:
    """Writes files, replays them, and sees what became of them."""

    def __init__(
        self, harness: Stack, api: httpx.Client, client: redis.Redis, folder: Path
    ) -> None:
        self._harness, self._api, self._client, self._folder = harness, api, client, folder
        self._prices = folder / "item_properties_part1.csv"
        self._prices.write_text(PRICES)

    def replay(self, name: str, rows: str) -> int:
        """Replay the rows; returns how many events were sent."""
        lines = [line.split() for line in rows.strip().splitlines()]
        cells = [(str(START + round(float(seconds) * 1000)), *rest) for seconds, *rest in lines]
        path = self._folder / name
        path.write_text(
            "\n".join([HEADER, *(",".join([*row, "", ""][:5]) for row in cells)]) + "\n"
        )
        line = (
            "replay",
            "retail-rocket",
            str(path),
            "--item-properties",
            str(self._prices),
            "--json",
        )
        sent: int = json.loads(self._harness.cli(*line))["produced"]["shop-events"]
        return sent

    def minutes(self) -> list[dict[str, Any]]:
        """This test's minutes as the API tells them, newest first."""
        windows = (
            self._api.get("/v1/metrics/business", params={"limit": 1440})
            .raise_for_status()
            .json()["windows"]
        )
        names = ("window_start", "window_end", *FIELDS)
        return [
            {name: window[name] for name in names}
            for window in windows
            if window["window_start"].startswith("2023-11-14T22:")
        ]

    def windows(self, length: str) -> list[dict[str, Any]]:
        """This test's windows of five minutes or of an hour, as the API tells them."""
        query = {"window": length, "from": "2023-11-14T22:00", "to": "2023-11-14T23:00"}
        answer = self._api.get("/v1/metrics/business", params=query).raise_for_status()
        found: list[dict[str, Any]] = answer.json()["windows"]
        return found

    def view(self, seconds: int) -> None:
        """Send a view of a visitor whom nobody has seen before."""
        event = ShopEvent(
            event_id="business-late",
            event_type="view",
            event_time=START + seconds * 1000,
            user_id="99",
            item_id="101",
        )
        with plug(self._harness.settings) as (sink, codec):
            sink.send("shop-events", "99", codec.encoder("shop-events").object(event))

    def counted(self, since: str, until: str) -> int:
        """Return the events of the minutes that begin at `since` or later, and before `until`."""
        windows = (
            self._api.get("/v1/metrics/business", params={"limit": 1440})
            .raise_for_status()
            .json()["windows"]
        )
        return sum(one["events"] for one in windows if since <= one["window_start"] < until)

    def stored(self) -> dict[tuple[bytes, bytes], object]:
        """What every key of the product holds, by key and member or field.

        Without the versions: a minute told twice has another place in the topic, and the same
        bytes.
        """
        found: dict[tuple[bytes, bytes], object] = {}
        for key in self._client.scan_iter("business:*"):
            if self._client.type(key) == b"zset":
                found |= {(key, member): score for member, score in self._client.zscan_iter(key)}
            else:
                found |= {
                    (key, name): value
                    for name, value in self._client.hgetall(key).items()
                    if name != b"v"
                }
        return found


@pytest.fixture
def shop(harness: Stack, api: httpx.Client, tmp_path: Path) -> Iterator[Shop]:
    with redis.Redis.from_url(harness.settings.redis_url) as client:
        yield Shop(harness, api, client, tmp_path)


def _units(stack: Settings) -> None:
    """An order of three units and a view, each sent twice.

    The files know no quantity, and send each row once.
    """
    order = ShopEvent(
        event_id="business-order",
        event_type="transaction",
        event_time=START + 1000,
        user_id="27",
        item_id="109",
        transaction_id="901",
        price=2.5,
        quantity=3,
    )
    view = ShopEvent(
        event_id="business-view",
        event_type="view",
        event_time=START + 2000,
        user_id="34",
        item_id="109",
    )
    with plug(stack) as (sink, codec):
        for event in (order, view, order, view):
            sink.send("shop-events", event.user_id, codec.encoder("shop-events").object(event))


def test_the_shops_minutes_are_those_worked_out_by_hand_and_a_repetition_changes_none(
    shop: Shop, stack: Settings, harness: Stack
) -> None:
    before = ends(stack, "shop-events")
    _units(stack)
    assert shop.replay("events.csv", FIRST) == 23
    after = ends(stack, "shop-events")
    assert sum(after.values()) - sum(before.values()) == 27
    until("the minutes are counted", lambda: shop.minutes() == MINUTES)
    until("so is the hour", lambda: shop.windows("1h")[0]["events"] == 25)
    (hour,) = shop.windows("1h")
    assert {name: hour[name] for name in HOUR} == HOUR
    (five,) = (one for one in shop.windows("5m") if one["window_start"].endswith("22:15:00.000Z"))
    assert {name: five[name] for name in FIVE} == FIVE
    kept, died = shop.stored(), restarts(stack, JOB)

    harness.killed_and_back("taskmanager")
    until("the job runs again", lambda: restarts(stack, JOB) > died)
    # Finished, a replay begins anew; what it sends has the ids of before.
    assert shop.replay("events.csv", FIRST) == 23
    shop.replay("last.csv", LAST)
    until("the last minute is counted", lambda: shop.minutes()[:1] == [LATER])

    assert shop.minutes() == [LATER, *MINUTES]
    until("so is the hour", lambda: shop.windows("1h")[0]["events"] == 29)
    now = shop.stored()
    changed = {place for place in now if now[place] != kept.get(place)}
    windows = {key.decode().split(":")[2] for key, _ in changed if b":window:" in key}
    assert (len(changed), windows) == (4, {"1m", "5m", "1h"}), (
        "the last minute, its place in the index, and the two that hold it are new, nothing else"
    )

    shop.view(3)
    until("the late view is counted", lambda: shop.minutes()[-1]["events"] == 11)
    corrected = shop.windows("1m")[-1]
    assert corrected["closed"]
    assert corrected["revision"] >= 1
    assert corrected["corrected_at"] > "2026"
    assert corrected["shown"]["events"] < 11


def test_a_replay_at_full_speed_into_four_partitions_loses_no_event(shop: Shop) -> None:
    """Send six hours of many visitors within seconds: partitions are read far apart in time."""
    assert topics()["shop-events"].partitions == 4
    day, seconds, rows = 86_400, 1.08, 20_000
    sent = [(day + round(row * seconds, 3), row % 500) for row in range(rows)]
    text = "\n".join(f"{when} {visitor} view 101" for when, visitor in sent)
    assert shop.replay("day.csv", text) == rows
    until(
        "every event is counted",
        lambda: shop.counted("2023-11-15T22:14:00", "2023-11-17") == rows,
        timeout=60,
    )

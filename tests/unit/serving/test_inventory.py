"""Stock in the store and over the API, and alerts that are the same after a restart."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from domain.events import DemandForecast, StockEntry
from serving.api.app import create
from serving.api.context import Context
from serving.consumers.product import Incoming, Result
from serving.inventory import keys, routes, view
from serving.inventory.consumer import ALERTS, FORECASTS, LEVELS, WATCH, Inventory
from serving.store import MemoryStore
from tests.unit.domain.inventory import DAY, HOUR, START, entry, levels
from tests.unit.serving.api_parts import KEY, MemoryValues, assert_problem


def rows(log: Iterable[StockEntry]) -> list[Incoming]:
    return [
        Incoming(level, timestamp=1, offset=place, topic=LEVELS)
        for place, level in enumerate(levels(log))
    ]


def keep(store: MemoryStore, made: Sequence[Result]) -> None:
    for result in made:
        store.apply(result.writes)


def produced(made: Sequence[Result], topic: str) -> list[dict[str, Any]]:
    return [
        dict(one.record or {}) for result in made for one in result.outputs if one.topic == topic
    ]


def restored(watched: Iterable[dict[str, Any]]) -> Inventory:
    product = Inventory()
    product.clear_state()
    for one in watched:
        product.restore_state(Incoming(one, timestamp=1, offset=0, topic=WATCH))
    return product


def to_and_fro(count: int, item: str = "a") -> list[StockEntry]:
    """A level that crosses its limit now and then."""
    dice, level, log = random.Random(5), 120, []
    log.append(entry("count", level, item_id=item, entry_id=f"{item} begin"))
    for place in range(count):
        kind = "delivery" if level < 60 else "sale"
        units = dice.randint(40, 90) if kind == "delivery" else dice.randint(1, 30)
        level += units if kind == "delivery" else -units
        name = f"{item} {place}"
        log.append(entry(kind, units, START + place * HOUR, item_id=item, entry_id=name))
    return log


@pytest.mark.parametrize("seed", range(20))
def test_whenever_it_dies_the_same_alerts_are_told_and_none_is_lost(seed: int) -> None:
    """What it told before it died reached the topics in part; the rest is told by the next life."""
    dice, log = random.Random(seed), rows(to_and_fro(200))
    undisturbed = Inventory().handle(log)
    expected = produced(undisturbed, ALERTS)
    assert len(expected) > 10
    told: list[dict[str, Any]] = []
    watched: list[dict[str, Any]] = []
    committed = 0
    while committed < len(log):
        product = restored(watched)
        upto = min(len(log), committed + dice.randint(1, 40))
        made = product.handle(log[committed:upto])
        # Alerts and the memory are two topics: of each any first part may have been written.
        alerts, memory = produced(made, ALERTS), produced(made, WATCH)
        if dice.random() < 0.5:
            told += alerts[: dice.randint(0, len(alerts))]
            watched += memory[: dice.randint(0, len(memory))]
        else:
            told, watched, committed = told + alerts, watched + memory, upto
    assert [one for one in expected if one not in told] == [], "one was lost"
    assert [one for one in told if one not in expected] == [], "one was told that nobody should"
    assert len(told) > len(expected) or seed, "nothing was told again: no death showed anything"


def test_a_memory_of_which_only_the_newest_is_left_repeats_nothing_wrong() -> None:
    log = rows(to_and_fro(200))
    made = Inventory().handle(log)
    memory, alerts = produced(made, WATCH), produced(made, ALERTS)
    again = restored(memory[-1:]).handle(log)
    assert produced(again, ALERTS) == []
    whole = restored(memory[-3:]).handle(log)
    assert all(one in alerts for one in produced(whole, ALERTS))


def test_of_an_item_in_a_batch_the_last_entry_is_stored_and_an_older_one_never_replaces_it() -> (
    None
):
    store, log = MemoryStore(), rows(to_and_fro(30))
    made = Inventory().handle(log)
    assert sum(one.key == keys.item("a") for result in made for one in result.writes) == 1
    keep(store, made)
    stored = store.get(keys.item("a"))
    keep(store, Inventory().handle(log[:10]))
    assert store.get(keys.item("a")) == stored


@pytest.fixture
def application(context: Context) -> FastAPI:
    return create(context, [routes])


def forecast(item: str) -> Incoming:
    record = DemandForecast(
        item_id=item,
        made_at=START,
        origin=START,
        horizon_days=(7, 14, 28),
        units=(70.0, 140.0, 280.0),
        lower_80=(35.0, 70.0, 140.0),
        upper_80=(140.0, 280.0, 560.0),
        lower_95=(20.0, 40.0, 80.0),
        upper_95=(200.0, 400.0, 800.0),
        daily=(10.0,) * 28,
    )
    given = {name: getattr(record, name) for name in record.__dataclass_fields__}
    return Incoming(given, timestamp=1, offset=0, topic=FORECASTS)


@pytest.mark.anyio
class TestRoutes:
    async def answer(self, client: httpx.AsyncClient, path: str, **asked: Any) -> dict[str, Any]:
        got = await client.get(f"/v1/inventory/{path}", params=asked, headers=KEY)
        found: dict[str, Any] = got.raise_for_status().json()
        return found

    async def test_an_item_is_told_whole(
        self, client: httpx.AsyncClient, values: MemoryValues, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(routes, "now_ms", lambda: START + 28 * DAY + 5)
        sold = [
            entry("sale", 10, START + day * DAY, entry_id=f"d{day}", price=2.0) for day in range(29)
        ]
        log = [entry("count", 400), *sold, entry("count", 80, START + 28 * DAY)]
        keep(values.store, Inventory().handle([*rows(log), forecast("a")]))
        found = await self.answer(client, "a")
        assert (found["level"], found["state"], found["at_risk"]) == (80, "known", True)
        assert found["demand"]["sold_7d"] == 70  # the eighth is a week ago
        assert found["run_out"]["days"] == pytest.approx(8.0)
        assert [one["kind"] for one in found["alerts"]] == ["LOW_STOCK"]
        assert found["last_count"]["difference"] == -30
        assert found["price_suggestion"]["is_suggestion"] is True
        assert found["reorder"]["quantity"] > 0
        assert found["forecast"]["run_out"] is None  # it ended a moment ago
        assert found["forecast"]["age_days"] == pytest.approx(28)

    async def test_time_alone_moves_what_sells_no_more(
        self, client: httpx.AsyncClient, values: MemoryValues, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log = [entry("count", 300), *(entry("sale", 10, START + day * DAY) for day in range(20))]
        keep(values.store, Inventory().handle(rows(log)))
        days = []
        for passed in (0, 3, 10, 40):
            now = START + (19 + passed) * DAY + 5
            monkeypatch.setattr(routes, "now_ms", lambda now=now: now)
            days.append((await self.answer(client, "a"))["run_out"]["days"])
        assert days[:3] == sorted(days[:3])
        assert days[3] is None

    async def test_items_are_paged_in_the_order_of_their_ids(
        self, client: httpx.AsyncClient, values: MemoryValues
    ) -> None:
        log = [
            entry("count", 500 if number % 3 else 50, item_id=f"i{number:02d}")
            for number in range(20)
        ]
        log.append(entry("sale", 1, item_id="no book"))
        keep(values.store, Inventory().handle(rows(log)))
        seen: list[str] = []
        after: dict[str, str] = {}
        while True:
            page = await self.answer(client, "items", at_risk=True, limit=3, **after)
            assert len(page["items"]) <= 3
            seen += [one["item_id"] for one in page["items"]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert seen == [f"i{number:02d}" for number in range(0, 20, 3)]
        unknown = await self.answer(client, "items", state="unknown")
        assert [one["item_id"] for one in unknown["items"]] == ["no book"]
        assert unknown["items"][0]["level"] is None
        alerts = await self.answer(client, "alerts", limit=2)
        assert [one["item_id"] for one in alerts["alerts"]] == ["i00", "i03"]
        assert alerts["next"] == "i03"
        assert (await self.answer(client, "alerts", kind="RUNS_OUT"))["alerts"] == []

    async def test_terms_beyond_all_measure_do_not_spoil_the_page(
        self, client: httpx.AsyncClient, values: MemoryValues, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(routes, "now_ms", lambda: START + 4 * DAY + 5)
        huge: dict[str, Any] = dict.fromkeys(
            ("threshold", "lead_days", "pack", "price", "price_most"), 1e308
        )
        sold = [entry("sale", 3, START + day * DAY, entry_id=f"d{day}") for day in range(5)]
        keep(
            values.store,
            Inventory().handle(rows([entry("count", 9), *sold, entry("terms", **huge)])),
        )
        (found,) = (await self.answer(client, "items"))["items"]
        assert found["level"] == -6
        assert found["reorder"]["quantity"] >= 0

    async def test_an_unknown_item_is_a_problem(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/v1/inventory/x", headers=KEY)
        assert_problem(answer, 404, "nothing is known of item x", "/v1/inventory/x")


def test_demand_is_that_of_the_newest_sale_in_whichever_order_they_came() -> None:
    store = MemoryStore()
    log = [
        entry("count", 500),
        entry("sale", 7, START + DAY, entry_id="new"),
        entry("sale", 2, START + HOUR, entry_id="old"),
    ]
    keep(store, Inventory().handle(rows(log)))
    sale = store.get(keys.demand("a"))
    assert sale is not None
    assert b'"entry_id":"sale' not in sale.data
    assert b'"entry_id":"new"' in sale.data
    level = store.get(keys.item("a"))
    assert level is not None

    newest = view.Stored(orjson.loads(level.data), orjson.loads(sale.data)).newest()
    assert (newest["level"], newest["demand_24h"]) == (491, 7)

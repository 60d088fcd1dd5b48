"""The shop beside the demo's payments, with the API and Kafka made up."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest

from config.settings import Settings
from domain.events import ShopEvent
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from millrace.demo import shop as module
from millrace.demo.shop import NEAR, Clicks, Shop, shop


class Sink:
    def __init__(self, after: int, stop: Callable[[], None]) -> None:
        self.events: list[ShopEvent] = []
        self._after, self._stop = after, stop

    def send(self, topic: str, key: str, value: ShopEvent) -> None:
        assert topic == "shop-events"
        assert key == value.user_id
        self.events.append(value)
        if len(self.events) == self._after:
            self._stop()

    def flush(self) -> None: ...


class Encoder:
    def encoder(self, topic: str) -> Encoder:
        return self

    def object(self, event: ShopEvent) -> ShopEvent:
        return event


def test_visitors_walk_among_items_near_each_other() -> None:
    clicks = Clicks("run")
    events = [clicks.next(n) for n in range(500)]
    assert len({event.event_id for event in events}) == 500
    assert len(clicks.last) > 50
    by_visitor: dict[str, list[int]] = {}
    for event in events:
        by_visitor.setdefault(event.user_id, []).append(int(event.item_id.removeprefix("item-")))
    for places in by_visitor.values():
        steps = [abs(one - other) for one, other in pairwise(places)]
        assert all(step <= NEAR or step >= module.ITEMS - NEAR for step in steps)


def test_what_is_bought_was_put_into_the_cart_just_before_and_has_a_price() -> None:
    clicks = Clicks("run")
    events = [clicks.next(n, "watched" if n % 10 == 0 else "") for n in range(5000)]
    by_visitor: dict[str, list[ShopEvent]] = {}
    for event in events:
        by_visitor.setdefault(event.user_id, []).append(event)
    assert all(one.event_type != "transaction" for one in by_visitor.pop("watched"))
    pairs = [pair for mine in by_visitor.values() for pair in pairwise(mine)]
    orders = [(before, one) for before, one in pairs if one.event_type == "transaction"]
    assert len(orders) > 50
    assert all(before.event_type == "addtocart" for before, _ in orders)
    assert all(before.item_id == one.item_id for before, one in orders)
    assert len({one.transaction_id for _, one in orders}) == len(orders)
    assert all(one.price is not None and 4 < one.price < 100 for _, one in orders)
    assert {one.quantity for _, one in orders} == {1, 2, 3}


def test_the_watched_visitor_s_clicks_and_list_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Shop(Settings())
    monkeypatch.setattr(module, "WATCHED_EVERY_S", 0.0)
    monkeypatch.setattr(module, "RATE", 1e6)
    monkeypatch.setattr(module, "POLL_S", 0.0)
    asked: list[str] = []

    def get(path: str) -> Any:
        asked.append(path)
        if path.startswith("metrics"):
            return {"hours": [{"hit_rate": 0.25}]}
        clicks = len(asked) // 3  # it takes the list a while
        return {"clicks": clicks, "items": [{"item": "item-7"}, {"item": f"item-{clicks}"}]}

    monkeypatch.setattr(made, "_get", get)
    sink = Sink(3, made.stop)
    made._send(cast("KafkaSink", sink), cast("Codec", Encoder()))
    assert {event.user_id for event in sink.events} == {made.visitor}
    first, second = made.lines()
    assert "25% of clicks were in the list shown before" in first
    assert "1 sessions open" in first
    assert f"you clicked {sink.events[0].item_id}" in second
    assert "for you now: item-7" in second


def test_what_goes_wrong_is_told_and_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Shop(Settings())

    def broken(*_: object) -> None:
        raise OSError("no way")

    monkeypatch.setattr(made, "_send", broken)
    monkeypatch.setattr(module, "KafkaSink", lambda *_, **__: Nothing())
    monkeypatch.setattr(module, "Registry", lambda *_: Nothing())
    monkeypatch.setattr(module, "Codec", lambda _: None)
    made.run()
    assert made.lines() == ["shop: stopped, OSError: no way"]


class Nothing:
    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *_: object) -> None: ...


def test_there_is_no_shop_where_its_group_is_off() -> None:
    assert shop(Settings(groups="core,fraud")) is None
    assert shop(Settings(groups="core,shop")) is not None


def test_the_first_clicks_warm_up_and_count_only_until_there_are_others() -> None:
    made = Shop(Settings())
    made._delays = [(1.0, 3000.0), (14.9, 900.0)]
    assert "p50 900 ms p99 3000 ms" in made.lines()[0]
    made._delays += [(15.0, 20.0), (17.0, 20.0)]
    assert "p50 20 ms p99 20 ms" in made.lines()[0]

"""The features of order lines against counts by hand over the plain list of events."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

from domain.events import ShopEvent
from domain.features.graph import Place
from domain.features.twin import Twin
from domain.orders.features import GRAPH

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_735_689_600_000


def event(number: int, at: int, **changes: Any) -> ShopEvent:
    fields: dict[str, Any] = {
        "event_id": f"e{number}",
        "event_type": "view",
        "event_time": at,
        "user_id": "v",
        "item_id": "i",
    }
    return ShopEvent(**{**fields, **changes})


def order(number: int, at: int, **changes: Any) -> ShopEvent:
    fields = {"event_type": "transaction", "transaction_id": f"o{number}", "price": 10.0}
    return event(number, at, **{**fields, "payment_card": "c", "address": "a", **changes})


def through(events: list[ShopEvent]) -> list[dict[str, Any]]:
    twin = Twin(GRAPH)
    rows = (
        GRAPH.row("ShopEvent", asdict(one), Place(offset=place)) for place, one in enumerate(events)
    )
    return [out for row in rows if (out := twin.process(row)) is not None]


def test_an_order_line_knows_what_its_visitor_did_before() -> None:
    events = [
        event(0, START),
        event(1, START + MINUTE, event_type="addtocart"),
        order(2, START + 2 * MINUTE, price=20.0, quantity=2),
        event(3, START + 3 * MINUTE, event_type="cancellation"),
        order(4, START + 40 * MINUTE, payment_card="other", address="elsewhere", price=80.0),
    ]
    first, second = through(events)
    assert (first["order_id"], second["order_id"]) == ("o2", "o4")
    assert (first["visitor_views_30m"], first["visitor_carts_30m"]) == (1, 1)
    assert (first["visitor_orders_30d"], first["visitor_mean_30d"]) == (1, 40.0)
    assert (second["visitor_views_30m"], second["visitor_views_1d"]) == (0, 1)
    assert (second["visitor_cards_30m"], second["visitor_cards_30d"]) == (1, 2)
    assert second["visitor_addresses_30d"] == 2
    assert second["visitor_cancelled_30d"] == 0.5
    assert second["visitor_spent_1d"] == 120.0
    assert second["visitor_seconds_since_order"] == 38 * 60


def test_five_minutes_end_with_the_clocks() -> None:
    lines = through([order(n, START + minute * MINUTE) for n, minute in enumerate((1, 4, 5, 9))])
    assert [line["visitor_orders_5m"] for line in lines] == [1, 2, 1, 2]
    assert [line["item_orders_5m"] for line in lines] == [1, 2, 1, 2]


def test_a_line_without_price_or_order_is_told_of_all_the_same() -> None:
    (line,) = through([order(7, START, price=None, transaction_id=None)])
    assert line["order_id"] == "e7"
    assert line["visitor_orders_30d"] == 1
    assert line["visitor_mean_30d"] is None


def test_views_leave_no_record_and_a_repeated_line_none_either() -> None:
    assert through([event(0, START), event(1, START + 1)]) == []
    assert len(through([order(2, START), order(2, START)])) == 1


def test_counts_of_items_and_visitors_are_those_of_the_list() -> None:
    dice = random.Random(11)
    at, events = START, []
    for number in range(600):
        at += dice.randint(1, 20) * MINUTE
        who, item = f"v{dice.randint(0, 5)}", f"i{dice.randint(0, 3)}"
        make = order if dice.random() < 0.5 else event
        events.append(make(number, at, user_id=who, item_id=item))
    lines = through(events)
    ordered = [one for one in events if one.event_type == "transaction"]
    assert [line["event_id"] for line in lines] == [one.event_id for one in ordered]
    for line, one in zip(lines, ordered, strict=True):
        # The oldest tile begins at a full hour: what lies behind it is not counted.
        day = one.event_time // HOUR * HOUR - 23 * HOUR
        before = [old for old in ordered if day <= old.event_time <= one.event_time]
        assert line["item_orders_1d"] == sum(old.item_id == one.item_id for old in before)
        mine = [old for old in before if old.user_id == one.user_id]
        assert line["visitor_orders_1d"] == len(mine)
        assert line["visitor_items_1d"] == len({old.item_id for old in mine})
        others = {old.user_id for old in before if old.item_id == one.item_id}
        assert line["item_visitors_1d"] == len(others)

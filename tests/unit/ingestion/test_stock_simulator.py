"""The simulated stock room: the same for a seed, and with everything that can go wrong in it."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from domain.events import ShopEvent, StockMovement
from ingestion.shop.stock_simulator import Room, StockRoom


def made(seed: int, number: int = 5_000) -> list[ShopEvent | StockMovement]:
    return list(islice(StockRoom(Room(items=40, seed=seed)).happenings(), number))


def test_the_same_seed_makes_the_same_stock_room() -> None:
    assert made(3, 2_000) == made(3, 2_000) != made(4, 2_000)


def test_time_goes_on_at_the_rate_and_nothing_has_two_names() -> None:
    found = made(1)
    times = [one.event_time for one in found]
    assert times == sorted(times)
    assert abs(times[-1] - times[0] - 5_000 * 50) < 100
    names = {one.event_id if isinstance(one, ShopEvent) else one.movement_id for one in found}
    assert len(names) == len(found)


def test_books_fall_below_zero_and_counts_disagree_now_and_then() -> None:
    levels: dict[str, int] = {}
    seen: Counter[str] = Counter()
    for one in made(1, 20_000):
        item = one.item_id
        if isinstance(one, ShopEvent):
            levels[item] += one.quantity if one.event_type == "cancellation" else -one.quantity
            seen["sold"] += 1
        elif one.kind == "count":
            seen["agrees" if levels[item] == one.quantity else "disagrees"] += 1
            levels[item] = one.quantity
        elif one.kind == "delivery":
            levels[item] = levels.get(item, 0) + one.quantity
            seen["delivered"] += 1
        seen["negative"] += levels[item] < 0
        seen["low"] += levels[item] < 100
    assert seen["sold"] > 15_000
    assert min(seen[what] for what in ("agrees", "disagrees", "negative", "low")) > 20
    assert seen["delivered"] > 100

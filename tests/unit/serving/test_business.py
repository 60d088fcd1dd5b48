from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from serving.business import keys
from serving.business.consumer import ALERTS, METRICS, WATCH, Business
from serving.consumers.product import Incoming, Output
from serving.store import MemoryStore

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def window(start: int, offset: int, **changes: Any) -> Incoming:
    length = changes.get("window_ms", MINUTE)
    record = {
        "window_start": start,
        "window_end": start + length,
        "orders": 2,
        "gmv": 30.5,
        "unpriced_lines": 1,
        "active_visitors": 9,
        "buyers": 2,
        "conversion": 2 / 9,
        "events": 40,
        "window_ms": MINUTE,
        "gmv_minor": 3050,
        "viewed": 8,
        "carted": 4,
        "purchased": 2,
        "sessions": 10,
        "sessions_viewed": 8,
        "sessions_carted": 4,
        "sessions_purchased": 1,
        "payments": 0,
        "payments_reviewed": 0,
        "payments_blocked": 0,
        "paid_minor": 0,
        "blocked_minor": 0,
        "items": ("i2", "i1"),
        "item_units": (1, 2),
        "item_gmv_minor": (2050, 1000),
        "items_sold": 2,
        **changes,
    }
    return Incoming(record, timestamp=123, offset=offset, topic=METRICS)


def stored(store: MemoryStore, length: str, start: int) -> dict[str, Any]:
    found = store.get(keys.window(length, keys.member(start)))
    assert found is not None
    document: dict[str, Any] = orjson.loads(found.data)
    return document


def take(business: Business, store: MemoryStore, *rows: Incoming) -> list[Output]:
    told: list[Output] = []
    for result in business.handle(rows):
        store.apply(result.writes)
        told += result.outputs
    return told


def test_a_window_is_kept_by_its_length_and_start() -> None:
    store, business = MemoryStore(), Business()
    take(business, store, window(HOUR, 4), window(HOUR, 5, window_ms=HOUR, events=90))
    minute, hour = stored(store, "1m", HOUR), stored(store, "1h", HOUR)
    assert minute["window_start"] == "1970-01-01T01:00:00.000Z"
    assert (minute["window"], minute["events"]) == ("1m", 40)
    assert (hour["window_end"], hour["events"]) == ("1970-01-01T02:00:00.000Z", 90)
    assert store.newest(keys.index("1h"), 5) == [b"3600000"]
    assert minute["average_order_value"] == 15.25
    assert (minute["path_conversion"], minute["session_conversion"]) == (0.25, 0.125)
    assert minute["fraud_rate"] is None
    assert minute["top_items"][0] == {"item_id": "i2", "units": 1, "gmv_minor": 2050}
    assert "items" not in minute
    assert business.missing() is None


def test_of_two_versions_the_one_with_more_events_and_payments_stays() -> None:
    store, business = MemoryStore(), Business()
    fuller = window(60_000, 4, events=40, payments=2, orders=3)
    rows = [fuller, window(60_000, 5, events=41)]
    for row in (*rows, *rows):
        take(business, store, row)
    assert stored(store, "1m", 60_000)["orders"] == 3


def test_a_late_event_corrects_a_window_that_was_shown_and_it_is_seen() -> None:
    store, business = MemoryStore(), Business()
    rows = [
        window(0, 1),
        window(MINUTE, 2),
        window(0, 3, events=41),
        window(3 * MINUTE, 4),
        window(0, 5, events=42, orders=5),
        window(0, 6, events=41),
        window(0, 7, events=43, orders=6),
    ]
    take(business, store, *rows[:4])
    assert stored(store, "1m", 0)["revision"] == 0, "one minute later it is not closed yet"
    take(business, store, *rows[4:])
    corrected = stored(store, "1m", 0)
    assert (corrected["orders"], corrected["revision"]) == (6, 2)
    assert corrected["corrected_at"] == "1970-01-01T00:00:00.123Z"
    assert corrected["shown"] == {"orders": 2, "gmv_minor": 3050, "events": 41, "payments": 0}

    # One that begins again has read the topic, and gets the last records a second time.
    again, second = Business(), MemoryStore()
    for row in rows:
        again.restore_state(row)
    take(again, second, *rows[2:])
    assert stored(second, "1m", 0) == corrected
    assert stored(second, "1m", 3 * MINUTE) == stored(store, "1m", 3 * MINUTE)


def test_a_batch_writes_each_window_once_as_if_its_versions_came_one_by_one() -> None:
    rows = [
        window(0, 1),
        window(3 * MINUTE, 2),
        window(0, 3, events=41),
        window(MINUTE, 4, window_ms=HOUR),
        window(0, 5, events=44, orders=5),
        window(0, 6, events=43),
        window(0, 7, events=44, orders=5),
    ]
    together, alone = MemoryStore(), MemoryStore()
    first, second = Business(), Business()
    results = first.handle(rows)
    assert [len(one.writes) for one in results] == [0, 1, 0, 1, 1, 0, 0]
    assert all(one.origin == 123 for one in results)
    for one in results:
        together.apply(one.writes)
    for row in rows:
        take(second, alone, row)
    for length, start in (("1m", 0), ("1m", 3 * MINUTE), ("1h", MINUTE)):
        assert stored(together, length, start) == stored(alone, length, start)
    assert (stored(together, "1m", 0)["orders"], stored(together, "1m", 0)["revision"]) == (5, 2)


def test_a_minute_of_another_time_closes_nothing() -> None:
    store, business = MemoryStore(), Business()
    take(business, store, window(0, 1), window(400 * DAY, 2), window(0, 3, events=41))
    assert stored(store, "1m", 0)["revision"] == 0


def hours(gmv: Iterable[int]) -> list[Incoming]:
    """Return hours of every second day, each followed by a minute that closes it."""
    rows = []
    for place, value in enumerate(gmv):
        start = 2 * place * DAY
        rows.append(window(start, 2 * place, window_ms=HOUR, gmv_minor=value))
        rows.append(window(start + 2 * HOUR, 2 * place + 1))
    return rows


def kinds(told: Iterable[Output]) -> list[tuple[str, str, str]]:
    return [
        (one.record["alert_id"], one.record["kind"], one.record["state"])
        for one in told
        if one.topic == ALERTS and one.record is not None
    ]


def test_an_hour_outside_its_band_is_told_of_once_and_once_when_it_is_back() -> None:
    rows = hours([1000, 1100, 900, 1000, 1050, 950, 1000, 200, 150, 1000, 1010])
    store, business = MemoryStore(), Business()
    told = take(business, store, *rows)
    name = f"business/GMV/{14 * DAY}"
    expected = [(name, "GMV_OUT_OF_BAND", "open"), (name, "GMV_OUT_OF_BAND", "cleared")]
    assert kinds(told) == expected
    watched = [one for one in told if one.topic == WATCH]
    assert len([one for one in watched if one.record and one.record["open"]]) == 2

    # Whoever begins again tells the same for the records that come again, and for no others.
    again = Business()
    for one in watched:
        assert one.record is not None
        again.restore_state(Incoming(dict(one.record), 0, 0, topic=WATCH))
    for row in rows:
        again.restore_state(row)
    assert take(again, MemoryStore(), *rows[14:]) == [
        one
        for one in told
        if one.record
        and (one.record.get("sequence", 99) >= 15)
        and one.record.get("event_time", 14 * DAY) >= 14 * DAY
    ]


def test_hours_without_any_event_are_compared_once_the_next_one_closes() -> None:
    rows: list[Incoming] = []
    for day in range(9):
        for part in (10, 12) if day == 8 else (10, 11, 12):
            start, place = day * DAY + part * HOUR, len(rows)
            rows.append(window(start, place, window_ms=HOUR))
            rows.append(window(start + HOUR + MINUTE, place + 1))
    told = take(Business(), MemoryStore(), *rows)
    silent = 8 * DAY + 11 * HOUR
    assert kinds(told) == [
        (f"business/GMV/{silent}", "GMV_OUT_OF_BAND", "open"),
        (f"business/GMV/{silent}", "GMV_OUT_OF_BAND", "cleared"),
    ]


def test_prometheus_has_the_newest_closed_window() -> None:
    business, registry = Business(), CollectorRegistry()
    business.register(registry)
    rows = [window(0, 0, gmv_minor=700), window(2 * MINUTE, 1, gmv_minor=900), window(0, 2)]
    take(business, MemoryStore(), *rows, window(4 * MINUTE, 3, gmv_minor=1))
    assert registry.get_sample_value("millrace_business_gmv", {"window": "1m"}) == 9.0
    started = registry.get_sample_value("millrace_business_window_start_seconds", {"window": "1m"})
    assert started == 120.0


def test_prometheus_has_the_newest_minute_as_it_stands() -> None:
    business, registry = Business(), CollectorRegistry()
    business.register(registry)
    rows = [
        window(MINUTE, 0, gmv_minor=700, events=5),
        window(MINUTE, 1, gmv_minor=300, events=2),  # an earlier version, told again
        window(0, 2, gmv_minor=100, events=90),
        window(HOUR, 3, gmv_minor=50, window_ms=HOUR),
    ]
    take(business, MemoryStore(), *rows)
    assert registry.get_sample_value("millrace_business_gmv", {"window": "now"}) == 7.0
    assert registry.get_sample_value("millrace_business_gmv", {"window": "1m"}) is None


def test_the_category_of_an_item_is_its_newest() -> None:
    store, business = MemoryStore(), Business()
    for offset, (when, category) in enumerate([(5, "a"), (9, None), (7, "b")]):
        item = {"item_id": "i", "event_time": when, "category": category}
        take(business, store, Incoming(item, 0, offset, topic="shop-items"))
    found = store.get(keys.category("i"))
    assert found is not None
    assert orjson.loads(found.data) is None

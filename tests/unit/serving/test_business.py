from __future__ import annotations

from typing import Any

import orjson

from serving.business import keys
from serving.business.consumer import Business
from serving.consumers.product import Incoming
from serving.store import MemoryStore


def window(start: int, offset: int, **changes: Any) -> Incoming:
    record = {
        "window_start": start,
        "window_end": start + 60_000,
        "orders": 2,
        "gmv": 30.5,
        "unpriced_lines": 1,
        "active_visitors": 9,
        "buyers": 2,
        "conversion": 2 / 9,
        "events": 40,
        **changes,
    }
    return Incoming(record, timestamp=123, offset=offset)


def test_a_window_is_kept_by_its_start() -> None:
    store, business = MemoryStore(), Business()
    (result,) = business.handle([window(60_000, 4)])
    store.apply(result.writes)
    stored = store.get(keys.window("60000"))
    assert stored is not None
    assert orjson.loads(stored.data)["window_start"] == "1970-01-01T00:01:00.000Z"
    assert store.newest(keys.WINDOWS, 5) == [b"60000"]
    assert result.outputs == ()
    assert result.origin == 123
    assert business.missing() is None


def test_of_two_versions_the_one_with_more_events_stays() -> None:
    store, business = MemoryStore(), Business()
    rows = [window(60_000, 4, events=41, orders=3), window(60_000, 5, events=40)]
    for row in (*rows, *rows):
        store.apply([write for result in business.handle([row]) for write in result.writes])
    stored = store.get(keys.window("60000"))
    assert stored is not None
    assert business.restore(stored.data) == rows[0].record

"""The product without Kafka, Flink and Redis."""

from __future__ import annotations

from typing import Any

import orjson
from domain.features.twin import Twin
from serving.consumers.product import Incoming

from @NAME@ import keys
from @NAME@.consumer import Consumer
from @NAME@.features import FEATURES, GRAPH, TABLE


def event(number: int, milliseconds: int) -> dict[str, Any]:
    values = {"STRING": "s", "BIGINT": 3, "DOUBLE": 0.5, "BOOLEAN": True, "TIMESTAMP": 0}
    row: dict[str, Any] = {name: values[kind] for name, kind in FEATURES.inputs}
    return row | {"@ID@": f"e{number}", "@KEY@": "k", "@TIME@": milliseconds}


def test_an_event_counts_itself_and_what_came_within_the_window() -> None:
    twin = Twin(GRAPH)
    counts = []
    for number, minute in enumerate((0, 10, 55, 180)):
        out = twin.process(GRAPH.row("@RECORD@", event(number, minute * 60_000)))
        assert out is not None
        counts.append((out["count_1h"], out["count_1d"]))
    assert counts == [(1, 1), (2, 2), (3, 3), (1, 4)]


def test_the_consumer_keeps_the_newest_features_of_a_key() -> None:
    record = {"@KEY@": "k", "@ID@": "e1", "@TIME@": 1500, "late": False}
    record |= dict.fromkeys(TABLE.model)
    (result,) = Consumer().handle([Incoming(record, timestamp=2000, offset=7)])
    (write,) = result.writes
    assert (write.key, write.event_time, write.sequence) == (keys.latest("k"), 1500, 7)
    assert orjson.loads(write.data)["@TIME@"] == "1970-01-01T00:00:01.500Z"

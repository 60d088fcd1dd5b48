"""Brokers that are away are named."""

from __future__ import annotations

import logging
import time

from confluent_kafka import Consumer, KafkaError

from serving.consumers.connection import Connection
from tests.unit.serving.loops import Bench, message


def test_brokers_away_are_named_until_one_answers() -> None:
    seen: list[dict[str, str]] = []
    now = [0.0]
    kafka = Connection(lambda: now[0])

    def turn() -> None:
        seen.append(dict(bench.health.missing))
        if len(seen) == 1:
            kafka.failed(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
            bench.consumer.away = True
            # From the client's own queue: proves nothing.
            bench.consumer.messages.append(message("b", 1))
        elif len(seen) == 4:
            bench.consumer.away = False
        elif len(seen) == 6:
            bench.loop.stop()
        now[0] += 0.6

    bench = Bench([message("a", 0)], kafka=kafka, empty=turn)
    bench.loop.run()
    away = {"kafka": "1/1 brokers are down"}
    assert seen == [{}, away, away, away, {}, {}]
    assert set(bench.store.values) == {"e:a", "e:b"}
    assert bench.consumer.log.count("asked") == 2, "once a second, and only while they are away"


def test_other_errors_of_the_client_are_no_outage() -> None:
    kafka = Connection()
    kafka.failed(KafkaError(KafkaError._TRANSPORT))
    bench = Bench([message("a", 0)], kafka=kafka)
    bench.loop.run()
    assert "asked" not in bench.consumer.log


def test_the_real_client_says_that_no_broker_is_there() -> None:
    kafka = Connection()
    nobody = {"bootstrap.servers": "127.0.0.1:1", "group.id": "tests", "error_cb": kafka.failed}
    consumer = Consumer(nobody, logger=logging.getLogger("kafka"))
    consumer.subscribe(["fraud-features"])
    deadline = time.monotonic() + 20
    while kafka.trouble(consumer) is None and time.monotonic() < deadline:
        consumer.consume(1, 0.05)
    assert "brokers are down" in (kafka.trouble(consumer) or "")
    consumer.close()

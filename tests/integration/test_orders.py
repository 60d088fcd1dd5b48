"""Order lines through the real job and consumer, which die on the way.

The group is off by default, so the job is submitted here, and the consumer is started as a process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
import redis

from config.settings import ROOT, Settings
from domain.features.graph import Place
from domain.features.twin import Stage, Twin
from domain.orders.features import GRAPH, VISITOR
from ingestion.shop.order_simulator import Happened, OrderSimulator, Shop
from millrace.stack.harness import Stack
from serving.orders import keys
from tests.integration.parts import ends, messages, paced, plug, restarts, through, until

JOB, CONSUMER = "order_features", "orders"
SHOP, LOG, FEATURES, SCORES = "shop-events", "order-log", "order-features", "order-scores"
DAY_MS, CALM_S = 86_400_000, 6.0


def events(run: str) -> list[Happened]:
    """Return a shop's events with ids of this run, the last of them a day ago."""
    shop = Shop(visitors=120, days=20, seed=3)
    shift = time.time_ns() // 1_000_000 - (shop.days + 1) * DAY_MS - shop.start_ms
    return [
        Happened(
            replace(
                one.event,
                event_id=f"{run}-{one.event.event_id}",
                user_id=f"{run}-{one.event.user_id}",
                item_id=f"{run}-{one.event.item_id}",
                transaction_id=one.event.transaction_id and f"{run}-{one.event.transaction_id}",
                event_time=one.event.event_time + shift,
            ),
            one.fraud,
        )
        for one in OrderSimulator(shop).events()
    ]


@pytest.fixture
def consumer(harness: Stack) -> Iterator[subprocess.Popen[bytes]]:
    """Run the job and the consumer, with a model."""
    harness.cli("train", "orders", "--visitors", "300", "--days", "40", "--promote")
    harness.cli("jobs", "submit", JOB)
    process = subprocess.Popen([sys.executable, "-m", "serving.orders.consumer"], cwd=ROOT)
    url = f"http://{harness.settings.host}:{19130 + harness.settings.port_offset}/readyz"

    def ready() -> bool:
        try:
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            return False

    try:
        until("the consumer is ready", ready)
        yield process
    finally:
        process.terminate()
        process.wait(30)
        harness.cli("jobs", "stop", JOB)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_each_line_is_scored_once_on_what_the_logs_say_although_the_taskmanager_dies(
    harness: Stack, stack: Settings, consumer: subprocess.Popen[bytes]
) -> None:
    run = f"orders-{uuid.uuid4().hex[:8]}"
    happened = events(run)
    began = {topic: ends(stack, topic) for topic in (SHOP, LOG, FEATURES, SCORES)}
    with redis.Redis.from_url(stack.redis_url) as client, plug(stack) as (sink, codec):
        encoder = codec.encoder(SHOP)

        def sending() -> Iterator[object]:
            for one in happened:
                sink.send(SHOP, one.event.user_id, encoder.object(one.event))
                yield one

        with paced(sending(), 300):
            time.sleep(CALM_S)
            died = restarts(stack, JOB)
            harness.killed_and_back("taskmanager")
            until("the job runs again", lambda: restarts(stack, JOB) > died)
            sink.flush(120)
        for one in happened:  # whatever the kill left unsent comes now, the rest a second time
            sink.send(SHOP, one.event.user_id, encoder.object(one.event))
        sink.flush(120)
        through(stack, (JOB, SHOP), (JOB, LOG), (CONSUMER, FEATURES), timeout=300)

        def told(topic: str) -> list[tuple[Place, dict[str, Any]]]:
            found = []
            for message in messages(stack, topic, began[topic]):
                record = codec.decode(topic, message.value())
                if record["user_id"].startswith(run):
                    place = Place(message.partition(), message.offset(), message.timestamp()[1])
                    found.append((place, record))
            return found

        lines = {one.event.event_id for one in happened if one.event.event_type == "transaction"}
        _explained(told(SHOP), told(LOG), [record for _, record in told(FEATURES)], lines)
        scores: dict[str, dict[str, Any]] = {}
        for _, record in told(SCORES):
            same = scores.setdefault(record["event_id"], record)
            assert (same["score"], same["decision"]) == (record["score"], record["decision"])
        assert scores.keys() == lines
        for name, score in scores.items():
            data = client.hget(keys.line(name), "d")
            assert isinstance(data, bytes)
            assert orjson.loads(data)["decision"] == score["decision"]
        assert any(score["decision"] != "approve" for score in scores.values())


def _explained(
    sent: list[tuple[Place, dict[str, Any]]],
    log: list[tuple[Place, dict[str, Any]]],
    told: list[dict[str, Any]],
    lines: set[str],
) -> None:
    """Assert that the declaration gives every vector, read in the order of the two logs."""
    visitors, known = Stage(VISITOR), {}
    for place, record in sorted(sent, key=lambda one: (one[0].partition, one[0].offset)):
        row = visitors.process(GRAPH.row("ShopEvent", record, place))
        if row is not None:
            known[row["event_id"]] = row
    assert known.keys() == lines
    items, expected = Twin(GRAPH, after=VISITOR), {}
    for place, record in sorted(log, key=lambda one: one[0].offset):
        row = known[record["event_id"]]
        row = row | {"order_partition": place.partition, "order_sequence": place.offset}
        out = items.process(row)
        if out is not None:
            expected[out["event_id"]] = out
    assert {one["event_id"] for one in told} == lines
    wrong = [one for one in told if one != expected[one["event_id"]]]
    assert not wrong, json.dumps([wrong[0], expected[wrong[0]["event_id"]]], default=str)

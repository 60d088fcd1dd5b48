"""Measure `POST /v1/recommendations/session` while visitors click.

    python -m benchmarks.recommend [--rate 1000] [--seconds 30] [--sessions 200000] [--clicks 100]

Needs the shop's part of the stack: the job `recommendations`, the recommender, the API. Fills the
index with sessions of the skew of a shop (items by Zipf's law, 2 to 12 clicks), then asks the API
at a fixed rate, open loop, for lists of 20 for sessions drawn alike, while `--clicks` events a
second arrive on `shop-events`, become sessions and are learnt. Targets at 1,000 requests/s, all of
it on two cores: p90 3 ms, p99 8 ms. What a question costs each process is told beside, in
microseconds of CPU, which other work on the machine disturbs less. Then the same again with trees
that order the best candidates anew, learnt from sessions of the same shop.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import orjson

from benchmarks.cluster import listening
from benchmarks.load import Outcome, post, run
from benchmarks.measure import cpu_seconds
from benchmarks.report import keep, show
from config.settings import Settings, settings
from domain.events import Session, ShopEvent
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.stack.environ import api_keys
from millrace.stack.layout import Layout
from orchestration.recommendations.ranking import learn
from orchestration.shelf.store import Store
from serving.consumers.run import metrics_port

CONSUMER, TOPIC, SOURCE = "recommender", "sessions", "shop-events"
VISITORS = 500
"""Who click at the same time."""
ITEMS, SKEW, NEAR = 100_000, 1.05, 40
LEARNT = 10_000
"""Sessions that trees are learnt from."""
FILLED_WITHIN_S = 300.0


class Shop:
    """Sessions whose items are drawn by Zipf's law, each near the one before."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        weights = 1 / np.arange(1, ITEMS + 1) ** SKEW
        self._heads = np.random.default_rng(seed).choice(
            ITEMS, size=1_000_000, p=weights / weights.sum()
        )
        self._run, self._number = uuid.uuid4().hex[:8], 0

    def items(self) -> list[str]:
        """Return a session's items."""
        place = int(self._heads[self._draw.randrange(len(self._heads))])
        found = []
        for _ in range(2 + min(10, int(self._draw.expovariate(0.4)))):
            found.append(f"item-{place}")
            place = (place + self._draw.randrange(NEAR)) % ITEMS
        return found

    def record(self, now_ms: int) -> Session:
        """Return a whole session of a new visitor."""
        items, self._number = tuple(self.items()), self._number + 1
        name = f"bench-{self._run}-{self._number}"
        return Session(
            session_id=name,
            user_id=name,
            event_id=name,
            event_time=now_ms,
            started=now_ms - 60_000,
            clicks=len(items),
            items=items,
            actions=("view",) * len(items),
        )


class Clicks:
    """Events of visitors who go through sessions like a shop's, many at the same time."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self._shop, self._draw = shop, random.Random(seed)
        self._run, self._number = uuid.uuid4().hex[:8], 0
        self._open: list[tuple[str, Iterator[str]]] = []

    def event(self, now_ms: int) -> ShopEvent:
        """Return the next click."""
        self._number += 1
        name = f"click-{self._run}-{self._number}"
        if len(self._open) < VISITORS:
            self._open.append((name, iter(self._shop.items())))
        place = self._draw.randrange(len(self._open))
        visitor, left = self._open[place]
        item = next(left, None)
        if item is None:
            self._open[place] = (name, iter(self._shop.items()))
            return self.event(now_ms)
        return ShopEvent(
            event_id=name, event_type="view", event_time=now_ms, user_id=visitor, item_id=item
        )


def measured(config: Settings, name: str, consumer: str = CONSUMER) -> float:
    """Return a sample of a consumer's metrics, summed over its labels."""
    page = httpx.get(f"http://{config.host}:{metrics_port(config, consumer)}/metrics").text
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE)
    return sum(map(float, found))


def fill(config: Settings, sink: KafkaSink, codec: Codec, shop: Shop, sessions: int) -> float:
    """Send sessions and wait until they are in the index; return the seconds that took."""
    encoder, began = codec.encoder(TOPIC), time.monotonic()
    handled = measured(config, "millrace_consumer_records_total") + sessions
    for _ in range(sessions):
        one = shop.record(int(time.time() * 1000))
        sink.send(TOPIC, one.user_id, encoder.object(one))
    sink.flush()
    while measured(config, "millrace_consumer_records_total") < handled:
        if time.monotonic() - began > FILLED_WITHIN_S:
            raise RuntimeError("the recommender does not catch up")
        time.sleep(0.5)
    return time.monotonic() - began


@contextmanager
def clicking(sink: KafkaSink, codec: Codec, shop: Shop, rate: float) -> Iterator[None]:
    """Send clicks at a rate meanwhile."""
    stop, encoder, clicks = threading.Event(), codec.encoder(SOURCE), Clicks(shop, 2)

    def send() -> None:
        due = time.monotonic()
        while not stop.is_set():
            one = clicks.event(int(time.time() * 1000))
            sink.send(SOURCE, one.user_id, encoder.object(one))
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ask(config: Settings, shop: Shop, rate: float, seconds: float) -> Outcome:
    """Ask the API."""
    headers = f"X-API-Key: {api_keys(config).split(',')[0]}\r\n"
    path = "/v1/recommendations/session"
    requests = [
        post(config.host, path, orjson.dumps({"items": shop.items(), "limit": 20}), headers)
        for _ in range(2000)
    ]
    address = (config.host, config.port("api"))
    return run(address, lambda number: requests[number % 2000], rate=rate, seconds=seconds)


def reorder(config: Settings, shop: Shop) -> None:
    """Have the recommender order candidates by trees learnt from the shop's sessions."""
    store = Store(Layout.of(config).models / CONSUMER)
    learnt = learn([shop.items() for _ in range(LEARNT)])
    store.promote(learnt.publish(store.folder, {"source": "benchmark"}).version)
    while not measured(config, "millrace_model_info"):
        time.sleep(0.1)


def processes(config: Settings) -> dict[str, int]:
    """Return the processes that a question concerns, by name. Raise RuntimeError if one is away."""
    ports = {"api": config.port("api"), "recommender": config.port("recommender")}
    return {"load": os.getpid(), **listening(ports)}


def measure(config: Settings, shop: Shop, options: argparse.Namespace) -> dict[str, Any]:
    """Ask while visitors click; return the figures."""
    ask(config, shop, options.rate / 2, 3)
    pids = processes(config)
    before = {name: cpu_seconds([pid]) for name, pid in pids.items()}
    learnt = measured(config, "millrace_consumer_records_total")
    outcome = ask(config, shop, options.rate, options.seconds)
    learnt = measured(config, "millrace_consumer_records_total") - learnt
    spent = {name: cpu_seconds([pid]) - before[name] for name, pid in pids.items()}
    p50, p90, p99 = outcome.milliseconds(50, 90, 99)
    return {
        "requests_per_second": options.rate,
        "failed": outcome.failed(200),
        "p50_ms": round(p50, 2),
        "p90_ms": round(p90, 2),
        "p99_ms": round(p99, 2),
        "sessions_learnt_per_second": round(learnt / options.seconds),
        **{
            f"{name}_us": round(seconds / outcome.requests * 1e6) for name, seconds in spent.items()
        },
    }


def main() -> None:
    """Fill the index, warm up, ask, print and keep the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--sessions", type=int, default=200_000)
    parser.add_argument("--clicks", type=float, default=100)
    options = parser.parse_args()
    config, shop = settings(), Shop(1)
    with (
        Registry(config.registry_url) as registry,
        KafkaSink(config.kafka_bootstrap, client_id="bench") as sink,
    ):
        codec = Codec(registry)
        filled = fill(config, sink, codec, shop, options.sessions)
        while measured(config, "millrace_recommendations_waiting"):  # else lists are made beside
            time.sleep(0.5)
        with clicking(sink, codec, shop, options.clicks):
            row = measure(config, shop, options)
        reorder(config, shop)
        with clicking(sink, codec, shop, options.clicks):
            reordered = measure(config, shop, options)
        index = {
            name: int(measured(config, f"millrace_recommendations_{name}"))
            for name in ("sessions", "items", "bytes")
        }
    rate = round(options.sessions / filled)
    show(
        "POST of a session, a list of 20",
        [{"order": "neighbours'", **row}, {"order": "trees'", **reordered}],
    )
    show("the index", [{**index, "filled_sessions_per_second": rate}])
    told = {"index": index, "clicks_per_second": options.clicks, "filled_per_second": rate}
    print(keep("recommend", {**row, **told, "reordered": reordered}))


if __name__ == "__main__":
    main()

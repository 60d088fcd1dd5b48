"""Measure `POST /v1/recommendations/session` while clicks arrive, with and without the API between.

    python -m benchmarks.recommend [--rate 1000] [--seconds 30] [--sessions 200000] [--clicks 100]

Needs Kafka, the registry, Redis, the recommender and the API. Fills the index with sessions of the
skew of a shop (items by Zipf's law, 2 to 12 clicks), then asks at a fixed rate, open loop, for the
lists of sessions drawn alike, while `--clicks` records a second arrive on `sessions`. Targets at
1,000 requests/s, at the recommender: p90 3 ms, p99 8 ms.
"""

from __future__ import annotations

import argparse
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

from benchmarks.load import Outcome, post, run
from benchmarks.report import keep, show
from config.settings import Settings, settings
from domain.events import Session
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.stack.environ import api_keys
from serving.consumers.run import metrics_port
from serving.recommendations.server import PATH

CONSUMER, TOPIC = "recommender", "sessions"
ITEMS, SKEW, NEAR = 100_000, 1.05, 40
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


def measured(config: Settings, name: str) -> float:
    """Return a sample of the recommender's metrics, summed over its labels."""
    page = httpx.get(f"http://{config.host}:{metrics_port(config, CONSUMER)}/metrics").text
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
def clicks(sink: KafkaSink, codec: Codec, shop: Shop, rate: float) -> Iterator[None]:
    """Send sessions at a rate meanwhile."""
    stop, encoder = threading.Event(), codec.encoder(TOPIC)

    def send() -> None:
        due = time.monotonic()
        while not stop.is_set():
            one = shop.record(int(time.time() * 1000))
            sink.send(TOPIC, one.user_id, encoder.object(one))
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ask(config: Settings, where: str, shop: Shop, rate: float, seconds: float) -> Outcome:
    """Ask at the recommender's port, or through the API."""
    port, path, headers = config.port("recommender"), PATH, ""
    if where == "api":
        key = api_keys(config).split(",")[0]
        port, path = config.port("api"), "/v1/recommendations/session"
        headers = f"X-API-Key: {key}\r\n"
    requests = [
        post(config.host, path, orjson.dumps({"items": shop.items(), "limit": 20}), headers)
        for _ in range(2000)
    ]
    return run(
        (config.host, port), lambda number: requests[number % 2000], rate=rate, seconds=seconds
    )


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
    config, shop, rows = settings(), Shop(1), list[dict[str, Any]]()
    with (
        Registry(config.registry_url) as registry,
        KafkaSink(config.kafka_bootstrap, client_id="bench") as sink,
    ):
        codec = Codec(registry)
        filled = fill(config, sink, codec, shop, options.sessions)
        with clicks(sink, codec, shop, options.clicks):
            for where in ("recommender", "api"):
                ask(config, where, shop, options.rate / 2, 3)
                outcome = ask(config, where, shop, options.rate, options.seconds)
                p50, p90, p99 = outcome.milliseconds(50, 90, 99)
                rows.append(
                    {
                        "asked": where,
                        "requests_per_second": options.rate,
                        "failed": outcome.failed(200),
                        "p50_ms": round(p50, 2),
                        "p90_ms": round(p90, 2),
                        "p99_ms": round(p99, 2),
                    }
                )
        index = {
            name: int(measured(config, f"millrace_recommendations_{name}"))
            for name in ("sessions", "items", "bytes")
        }
    result = {
        "servers": rows,
        "index": index,
        "clicks_per_second": options.clicks,
        "filled_s": round(filled, 1),
        "sessions_per_second": round(options.sessions / filled),
    }
    show("POST of a session, a list of 20", rows)
    show("the index", [{**index, "sessions_per_second": result["sessions_per_second"]}])
    print(keep("recommend", result))


if __name__ == "__main__":
    main()

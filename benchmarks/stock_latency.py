"""Measure the latency from a purchase to its item's stock in Redis, at a fixed rate.

    python -m benchmarks.stock_latency [--rate 1000] [--seconds 120] [--quick]

Needs the inventory's part of the stack, nothing else sending. Purchases are sent open-loop, each at
its due time, over `--items` items with open books. Every 25th is a probe, of one of `PROBES` items
that nothing else moves: Redis is asked for that item every millisecond until its level is the new
one, and the time since the due time is the latency. So a stalled producer counts, and nothing of
the consumer's own clocks or metrics is believed. A probe for which no item is free is counted as
skipped: figures of a run with many of these are too good. A second row leaves out the first
`--drop` seconds, in which the JVM still compiles.
"""

from __future__ import annotations

import argparse
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import redis

from benchmarks.latency import percentiles
from benchmarks.report import keep, show
from config.settings import Settings, settings
from domain.events import ShopEvent, StockMovement
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from serving.inventory import keys

SHOP, MOVEMENTS = "shop-events", "stock-movements"
EVERY, PROBES = 25, 400
OPENED = 10_000_000
PATIENCE_S = 120.0


@dataclass
class Probes:
    """Items of which one purchase at a time is on its way, and how long each took."""

    client: redis.Redis
    names: list[str]
    levels: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, tuple[float, float]] = field(default_factory=dict)
    found: list[tuple[float, float]] = field(default_factory=list)
    """Of each probe when it was due, in seconds since the start, and its latency in ms."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, due: float, since: float) -> str | None:
        """Return an item whose last purchase has arrived; it is due now. None if there is none."""
        with self.lock:
            for name in self.names:
                if name not in self.waiting:
                    self.levels[name] -= 1
                    self.waiting[name] = (due, since)
                    return name
        return None

    def look(self) -> None:
        """Ask for the items that are waited for, and note those that have arrived."""
        with self.lock:
            names = list(self.waiting)
        if not names:
            return
        pipeline: Any = self.client.pipeline(transaction=False)
        for name in names:
            pipeline.hget(keys.item(name), "d")
        stored = pipeline.execute()
        now = time.time()
        for name, data in zip(names, stored, strict=True):
            if data is not None and orjson.loads(data)["level"] == self.levels[name]:
                with self.lock:
                    due, since = self.waiting.pop(name)
                self.found.append((since, (now - due) * 1000))


@contextmanager
def looking(probes: Probes) -> Iterator[None]:
    """Look every millisecond, in a thread of its own."""
    done = threading.Event()

    def loop() -> None:
        while not done.is_set():
            probes.look()
            time.sleep(0.001)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def purchase(name: str, item: str, time_ms: int) -> ShopEvent:
    """Return a purchase of one unit."""
    return ShopEvent(
        event_id=name,
        event_type="transaction",
        event_time=time_ms,
        user_id=f"u{hash(name) % 5000}",
        item_id=item,
        transaction_id=name,
        price=9.5,
        quantity=1,
    )


class Load:
    """Purchases at a fixed rate, some of them probes."""

    def __init__(self, sink: KafkaSink, codec: Codec, items: list[str], probes: Probes) -> None:
        self._sink, self._items, self._probes = sink, items, probes
        self._encode = {topic: codec.encoder(topic).object for topic in (SHOP, MOVEMENTS)}
        self._run = items[0]

    def open_books(self) -> None:
        """Deliver every item, and wait until Redis has all of them."""
        now = int(time.time() * 1000)
        names = [*self._items, *self._probes.names]
        for name in names:
            movement = StockMovement(
                movement_id=f"{name}-open",
                item_id=name,
                event_time=now,
                kind="delivery",
                quantity=OPENED,
            )
            self._sink.send(MOVEMENTS, name, self._encode[MOVEMENTS](movement))
        self._sink.flush(60)
        client, began = self._probes.client, time.monotonic()
        while any(client.hget(keys.item(name), "d") is None for name in names):
            if time.monotonic() - began > PATIENCE_S:
                raise RuntimeError("the books are not open: does the group inventory run?")
            time.sleep(0.5)
        self._probes.levels.update(dict.fromkeys(self._probes.names, OPENED))

    def send(self, rate: float, seconds: float) -> tuple[int, int]:
        """Send for `seconds`; return how many, and how many probes found no free item."""
        total, sent, skipped = int(rate * seconds), 0, 0
        began = time.time() + 0.1
        while sent < total:
            due = min(total, int((time.time() - began) * rate) + 1)
            for number in range(sent, due):
                at = began + number / rate
                item: str | None = self._items[number % len(self._items)]
                if number % EVERY == 0:
                    item = self._probes.take(at, number / rate)
                    skipped += item is None
                if item is not None:
                    event = purchase(f"{self._run}-{number}", item, int(at * 1000))
                    self._sink.send(SHOP, event.user_id, self._encode[SHOP](event))
            sent = max(sent, due)
            time.sleep(0.001)
        self._sink.flush(60)
        return total, skipped


def measure(
    config: Settings, *, rate: float, seconds: float, drop: float, items: int
) -> dict[str, Any]:
    """Return the latencies at `rate` purchases a second. Raise RuntimeError if one is lost."""
    run = f"stock-{uuid.uuid4().hex[:6]}"
    with (
        redis.Redis.from_url(config.redis_url) as client,
        Registry(config.registry_url) as registry,
    ):
        quick: dict[str, Any] = {"linger.ms": 2}
        sink = KafkaSink(config.kafka_bootstrap, client_id="bench-stock", **quick)
        probes = Probes(client, [f"{run}-probe-{number}" for number in range(PROBES)])
        names = [f"{run}-{number}" for number in range(items)]
        load = Load(sink, Codec(registry), names, probes)
        load.open_books()
        with looking(probes):
            sent, skipped = load.send(rate, seconds)
            began = time.monotonic()
            while probes.waiting:
                if time.monotonic() - began > PATIENCE_S:
                    raise RuntimeError(f"{len(probes.waiting)} purchases did not arrive")
                time.sleep(0.1)
    rows = [
        {"purchase to Redis": name, "probes": len(values), **percentiles(values)}
        for name, values in (
            ("all", [latency for _, latency in probes.found]),
            (f"after {drop:g} s", [one for since, one in probes.found if since >= drop]),
        )
    ]
    return {"rate": rate, "seconds": seconds, "sent": sent, "skipped": skipped, "rows": rows}


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--drop", type=float, default=30)
    parser.add_argument("--items", type=int, default=5000)
    parser.add_argument(
        "--quick", action="store_true", help="10 s, 200 items: shows that it works, not how fast"
    )
    options = parser.parse_args()
    seconds, items = (10.0, 200) if options.quick else (options.seconds, options.items)
    drop = min(options.drop, seconds / 2)
    result = measure(settings(), rate=options.rate, seconds=seconds, drop=drop, items=items)
    show("from a purchase to its item's stock in Redis", result["rows"])
    print(keep("stock_latency-quick" if options.quick else "stock_latency", result))


if __name__ == "__main__":
    main()

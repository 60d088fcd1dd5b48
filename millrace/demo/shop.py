"""Show the shop beside the payments: visitors click and buy, and one visitor's list is watched."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from config.errors import RetryableError, UserError
from config.products import running
from config.settings import Settings
from domain.events import ShopEvent
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.demo.tally import percentile
from millrace.stack import environ

PRODUCT, TOPIC = "recommendations", "shop-events"
RATE = 20.0
"""Clicks a second: enough for lists to change, too few to be felt by the payments."""
VISITORS, ITEMS, NEAR = 80, 200, 4
BUYS = 0.25
"""Of the items put into a cart: bought with the next click."""
WATCHED_EVERY_S, PATIENCE_S, POLL_S = 2.0, 5.0, 0.005
OPEN_MS = 30 * 60 * 1000
SHOWN = 5
WARM_UP_S = 15.0

Get = Callable[[str], Any]


def price(place: int) -> float:
    """Return what a unit of the item at a place costs: from 4.99 to 98.99."""
    return 4.99 + place * 37 % 95


class Clicks:
    """Visitors who walk from an item to one near it, and buy now and then what is in the cart."""

    def __init__(self, run: str, seed: int = 5) -> None:
        self._draw, self._run, self._number = random.Random(seed), run, 0
        self._places: dict[str, int] = {}
        self._carts: set[str] = set()
        """Visitors who have just put the item where they are into the cart."""
        self.last: dict[str, int] = {}
        """When each visitor clicked last, in ms."""

    def next(self, now_ms: int, visitor: str = "") -> ShopEvent:
        """Return a click of somebody, or of `visitor`, who buys nothing."""
        user = visitor or f"{self._run}-visitor-{self._draw.randrange(VISITORS)}"
        self._number += 1
        self.last[user] = now_ms
        place = self._places.get(user, self._draw.randrange(ITEMS))
        if user in self._carts:
            self._carts.remove(user)
            if not visitor and self._draw.random() < BUYS:
                return self._bought(user, place, now_ms)
        place = self._places[user] = (place + self._draw.randint(-NEAR, NEAR)) % ITEMS
        kind = self._draw.choices(("view", "addtocart"), (9, 1))[0]
        if kind == "addtocart":
            self._carts.add(user)
        return self._event(user, place, now_ms, kind)

    def _bought(self, user: str, place: int, now_ms: int) -> ShopEvent:
        event = self._event(user, place, now_ms, "transaction")
        return replace(
            event,
            transaction_id=f"{event.event_id}-order",
            price=price(place),
            quantity=self._draw.choices((1, 2, 3), (7, 2, 1))[0],
        )

    def _event(self, user: str, place: int, now_ms: int, kind: str) -> ShopEvent:
        return ShopEvent(
            event_id=f"{self._run}-{self._number}",
            event_type=kind,
            event_time=now_ms,
            user_id=user,
            item_id=f"item-{place}",
        )


class Shop(threading.Thread):
    """Send clicks until stopped; every two seconds a watched visitor clicks, too.

    What goes wrong ends the thread and is told: the payments are what the demo is about.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="shop", daemon=True)
        self._settings = settings
        self._run = f"demo-{uuid.uuid4().hex[:6]}"
        self.visitor = f"{self._run}-you"
        self._clicks = Clicks(self._run)
        self._stopping = threading.Event()
        self._sent, self._began = 0, time.monotonic()
        self._delays: list[tuple[float, float]] = []
        """Of each watched click: seconds since the first click, and milliseconds to its list."""
        self._history: list[str] = []
        self._list: list[str] = []
        self._hit_rate: float | None = None
        self._trouble = ""

    def run(self) -> None:
        """Send until `stop`."""
        try:
            with (
                Registry(self._settings.registry_url) as registry,
                KafkaSink(self._settings.kafka_bootstrap, client_id="demo-shop") as sink,
            ):
                self._send(sink, Codec(registry))
        except (RetryableError, UserError, URLError, OSError) as error:
            self._trouble = f"{type(error).__name__}: {error}"

    def stop(self) -> None:
        """End after the click in hand."""
        self._stopping.set()

    def _send(self, sink: KafkaSink, codec: Codec) -> None:
        encoder = codec.encoder(TOPIC)

        def click(visitor: str = "") -> ShopEvent:
            event = self._clicks.next(int(time.time() * 1000), visitor)
            sink.send(TOPIC, event.user_id, encoder.object(event))
            self._sent += 1
            return event

        self._began = due = time.monotonic()
        watched = due + WATCHED_EVERY_S
        while not self._stopping.is_set():
            if time.monotonic() >= watched:
                event = click(self.visitor)
                sink.flush()
                self._watch(event)
                due = time.monotonic()
                watched = due + WATCHED_EVERY_S
            else:
                click()
            due += 1 / RATE
            self._stopping.wait(max(0.0, due - time.monotonic()))

    def _watch(self, event: ShopEvent) -> None:
        """Wait until the list knows the click, and note how long that took."""
        self._history.append(event.item_id)
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_S and not self._stopping.is_set():
            answer = self._get(f"recommendations/{quote(self.visitor)}")
            if answer["clicks"] >= len(self._history):
                ready = time.monotonic()
                self._delays.append((began - self._began, (ready - began) * 1000))
                self._list = [one["item"] for one in answer["items"]]
                break
            time.sleep(POLL_S)
        hours = self._get("metrics/recommendations?limit=1")["hours"]
        self._hit_rate = hours[0]["hit_rate"] if hours else None

    def _get(self, path: str) -> Any:
        url = f"http://{self._settings.host}:{self._settings.port('api')}/v1/{path}"
        key = environ.api_keys(self._settings).split(",")[0]
        with urlopen(Request(url, headers={"X-API-Key": key}), timeout=5) as answer:
            return json.load(answer)

    def lines(self) -> list[str]:
        """Return what is to be told now."""
        if self._trouble:
            return [f"shop: stopped, {self._trouble}"]
        now_ms = time.time() * 1000
        open_now = sum(now_ms - last < OPEN_MS for last in list(self._clicks.last.values()))
        rate = self._sent / max(1e-9, time.monotonic() - self._began)
        hits = "-" if self._hit_rate is None else f"{self._hit_rate:.0%}"
        delays = self._warm()
        told = [
            f"shop: {rate:.0f} clicks/s, {open_now} sessions open, click to list "
            f"p50 {_ms(percentile(delays, 0.5))} p99 {_ms(percentile(delays, 0.99))}, "
            f"{hits} of clicks were in the list shown before"
        ]
        if self._list:
            told.append(
                f"you clicked {' '.join(self._history[-SHOWN:])}; "
                f"for you now: {' '.join(self._list[:SHOWN])}"
            )
        return told

    def _warm(self) -> list[float]:
        """Return the delays after warming up, or all until there is one."""
        warm = [delay for since, delay in self._delays if since >= WARM_UP_S]
        return warm or [delay for _, delay in self._delays]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"


def shop(settings: Settings) -> Shop | None:
    """Return the shop, not started, or None where recommendations do not run."""
    if any(product.name == PRODUCT for product in running(settings)):
        return Shop(settings)
    return None

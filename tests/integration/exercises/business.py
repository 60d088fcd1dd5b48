"""Visitors and payments of the shop; its windows are counted again, twice, from what was sent.

Once literally, event by event, and once by the query over the lake's tables, on the records as they
stand in Kafka with all repetitions, which is what the lake holds.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import orjson

from domain.events import FraudScore, ShopEvent
from domain.times import iso
from ingestion.wire.unreadable import UnreadableError
from serving.business import keys
from tests.integration.exercises import Exercise, Hands, Poison
from tests.integration.exercises.poisons import of_the_wire, refused
from tests.integration.parts import ends, messages, read, through
from tests.shop_counted import counted

JOB, CONSUMER = "business_metrics", "business"
SOURCE, SCORES, SINK = "shop-events", "fraud-scores", "business-metrics"
DAY_MS = 86_400_000
LENGTHS = {"1m": 60_000, "5m": 300_000, "1h": 3_600_000}
EARLIEST = 1_717_200_000_000  # 2024-06-01, after all that other tests look at
Figures = dict[str, dict[int, dict[str, Any]]]
"""By length of window and its start."""
STEP_MS, UNORDERED_MS = 250, 90_000
VISITORS, ITEMS = 300, 40
LATEST = EARLIEST + 365 * DAY_MS
AHEAD = 4_000_000_000_000


def exercise(hands: Hands) -> Exercise:
    """Return the shop's part, on minutes that nobody has used before.

    Other tests store minutes of today, and of the far future, where events are refused.
    """
    used = hands.client.zrevrangebyscore(keys.index("1m"), LATEST, 0, start=0, num=1)
    newest = max((_start(name) for name in used), default=0)
    day = max(EARLIEST, newest) // DAY_MS + 1
    began = {topic: ends(hands.stack, topic) for topic in (SOURCE, SCORES, SINK)}
    return Shop(hands, day * DAY_MS, began)


@dataclass
class Shop:
    """What has been sent so far, in its order and with its repetitions."""

    hands: Hands
    start: int
    began: dict[str, dict[int, int]]
    """The end of each topic before."""
    rate: int = 200
    good: int = 20_000
    events: list[ShopEvent] = field(default_factory=list)
    scores: list[FraudScore] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """Return how many records it has sent."""
        return len(self.events) + len(self.scores)

    def sending(self) -> Iterator[object]:
        """Send events out of their order, and every twentieth a second time, a while later."""
        chance = random.Random(414)
        for place in count():
            self._send(self._event(place, chance))
            if place % 20 == 0:
                self._send(self.events[-min(400, len(self.events))])
                self._send(self._score(place, chance))
            if place % 90 == 0:
                self._send(self.scores[-min(9, len(self.scores))])
            yield place

    def _event(self, place: int, chance: random.Random) -> ShopEvent:
        (kind,) = chance.choices(("view", "addtocart", "transaction"), (80, 12, 8))
        event = ShopEvent(
            event_id=f"{self.hands.run}-{place}",
            event_type=kind,
            event_time=self.start + place * STEP_MS + chance.randrange(UNORDERED_MS),
            user_id=f"{self.hands.run}-v{chance.randrange(VISITORS)}",
            item_id=f"i{chance.randrange(ITEMS)}",
        )
        if kind != "transaction":
            return event
        # An order has one line or a few, some of them without a price.
        price = None if chance.random() < 0.1 else round(chance.uniform(0.5, 400), 2)
        order = f"{event.user_id}-o{place // 6000}"
        return replace(event, transaction_id=order, price=price, quantity=chance.randrange(1, 5))

    def _score(self, place: int, chance: random.Random) -> FraudScore:
        customer, when = chance.randrange(VISITORS), self.start + place * STEP_MS
        return FraudScore(
            transaction_id=f"{self.hands.run}-shop-{place}",
            customer_id=f"{self.hands.run}-c{customer}",
            terminal_id="t",
            event_time=when + chance.randrange(UNORDERED_MS),
            amount=round(chance.uniform(1, 900), 2),
            score=0.5,
            decision=chance.choice(("approve", "approve", "review", "block")),
            model_version="m",
            feature_set_version="f",
            late=False,
            sequence=place,
            produced_at=when,
            features_at=when,
            scored_at=when,
        )

    def _send(self, one: ShopEvent | FraudScore) -> None:
        topic, key = _place_of(one)
        self.hands.sink.send(topic, key, self.hands.codec.encoder(topic).object(one))
        if isinstance(one, FraudScore):
            self.scores.append(one)
        else:
            self.events.append(one)

    def poisons(self) -> list[Poison]:
        """Return poison for `shop-events`, of orders that would change the first minutes."""

        def order(number: int) -> dict[str, Any]:
            return asdict(
                ShopEvent(
                    event_id=f"{self.hands.run}-bad-{number}",
                    event_type="transaction",
                    event_time=self.start + number % UNORDERED_MS,
                    user_id=f"{self.hands.run}-v1",
                    item_id="i1",
                    transaction_id=f"{self.hands.run}-o1",
                    price=10.0,
                )
            )

        wrong: tuple[dict[str, Any], ...] = (
            {"price": float("nan")},
            {"price": float("-inf")},
            {"user_id": ""},
            {"event_time": self.start * 1000},
            {"event_time": AHEAD},
        )
        return [
            *of_the_wire(self.hands, SOURCE, JOB, order, "event_time"),
            *(refused(self.hands, SOURCE, JOB, order, **changed) for changed in wrong),
        ]

    def through(self) -> None:
        """Wait until the events are counted and the windows stored."""
        self.hands.sink.flush(120)
        hops = ((JOB, SOURCE), (JOB, SCORES), (CONSUMER, SINK))
        through(self.hands.stack, *hops, timeout=300)

    def verify(self) -> None:
        """Assert that topic, Redis and API have the windows of what was sent, and the lake, too."""
        expected = self._expected()
        minutes = expected["1m"].values()
        assert sum(minute["orders"] for minute in minutes) > 50
        assert any(minute["unpriced_lines"] for minute in minutes)
        hours = expected["1h"].values()
        for name in ("purchased", "sessions_purchased", "payments_blocked"):
            assert any(hour[name] for hour in hours), name
        self._verify_told(expected)
        kept = self.stored()
        for length, windows in expected.items():
            stored = {
                start: orjson.loads(data) for (one, start), data in kept.items() if one == length
            }
            assert _differing(stored, windows) == []
            assert _differing(self._answered(length), windows) == []
            assert self._queried(LENGTHS[length]) == windows

    def _expected(self) -> Figures:
        """Count what was sent, each event once."""
        events, scores = ([asdict(one) for one in some] for some in (self.events, self.scores))
        return {
            length: {one["window_start"]: one for one in counted(ms, events, scores)}
            for length, ms in LENGTHS.items()
        }

    def _verify_told(self, expected: Figures) -> None:
        """Assert that of each window the fullest version on the topic is the right one."""
        told: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
        for record in read(self.hands.stack, SINK, self.hands.codec, self.began[SINK]):
            if self._mine(record["window_start"]):
                told[record["window_ms"], record["window_start"]].append(record)
        windows = {
            (LENGTHS[length], start): figures
            for length, some in expected.items()
            for start, figures in some.items()
        }
        assert told.keys() == windows.keys()
        for key, versions in told.items():
            most = max(keys.version(one) for one in versions)
            full = [one for one in versions if keys.version(one) == most]
            found = [_figures(one, windows[key]) for one in full]
            assert all(one == windows[key] for one in found), (found, windows[key])
            for one in full:
                assert one["gmv"] == one["gmv_minor"] / 100
                assert one["window_end"] == one["window_start"] + one["window_ms"]

    def _mine(self, start: int) -> bool:
        return self.start <= start < self.start + DAY_MS

    def _answered(self, length: str) -> dict[int, dict[str, Any]]:
        """Return the run's windows as the API tells them."""
        bounds = {"from": iso(self.start), "to": iso(self.start + DAY_MS)}
        query: dict[str, str | int] = {"window": length, "limit": 1440, "top": 100, **bounds}
        answer = self.hands.api.get("/v1/metrics/business", params=query).raise_for_status()
        windows = answer.json()["windows"]
        starts = [one["window_start"] for one in windows]
        assert starts == sorted(starts, reverse=True)
        return {_ms(one["window_start"]): one for one in windows}

    def _queried(self, length: int) -> dict[int, dict[str, Any]]:
        """Return the run's windows by the query over the lake, from the records in Kafka."""
        import duckdb
        import pyarrow as pa

        from lakehouse.business import windows

        with duckdb.connect() as con:
            for topic, name in ((SOURCE, "events"), (SCORES, "scores")):
                con.register(name, pa.Table.from_pylist(self._rows(topic)))
            found = con.execute(windows(length, "events", "scores"))
            names = [one[0] for one in found.description]
            rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        return {row["window_start"]: row for row in rows}

    def _rows(self, topic: str) -> list[dict[str, Any]]:
        """Return the run's good records of a topic, with their places, as bronze has them."""
        name = "event_id" if topic == SOURCE else "transaction_id"
        sent: list[Any] = [*(self.events if topic == SOURCE else self.scores)]
        good = {getattr(one, name) for one in sent}
        rows = []
        for message in messages(self.hands.stack, topic, self.began[topic]):
            if not message.key().decode().startswith(self.hands.run):
                continue
            try:
                record = self.hands.codec.decode(topic, message.value())
            except UnreadableError:
                continue
            if record[name] in good:
                time = EPOCH + timedelta(milliseconds=record["event_time"])
                place = {"_partition": message.partition(), "_offset": message.offset()}
                rows.append({**record, "event_time": time, **place})
        return rows

    def stored(self) -> Mapping[tuple[str, int], bytes]:
        """Return the run's windows that the indexes know, as Redis has them."""
        client, bounds = self.hands.client, (self.start, self.start + DAY_MS - 1)
        found: dict[tuple[str, int], bytes] = {}
        for length in LENGTHS:
            for name in client.zrangebyscore(keys.index(length), *bounds):
                start = _start(name)
                data = client.hget(keys.window(length, keys.member(start)), "d")
                assert isinstance(data, bytes)
                found[length, start] = data
        return found

    def repeat(self) -> None:
        """Send all again, and every told version of the windows, the oldest last."""
        every: tuple[ShopEvent | FraudScore, ...] = (*self.events, *self.scores)
        for one in every:
            topic, key = _place_of(one)
            self.hands.sink.send(topic, key, self.hands.codec.encoder(topic).object(one))
        told = read(self.hands.stack, SINK, self.hands.codec, self.began[SINK])
        for version in reversed([one for one in told if self._mine(one["window_start"])]):
            value = self.hands.codec.encode(SINK, version)
            self.hands.sink.send(SINK, str(version["window_start"]), value)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _place_of(one: ShopEvent | FraudScore) -> tuple[str, str]:
    if isinstance(one, FraudScore):
        return SCORES, one.transaction_id
    return SOURCE, one.user_id


def _start(member: object) -> int:
    assert isinstance(member, bytes)
    return int(member)


def _ms(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def _figures(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return those fields of a record that `wanted` has; arrays as lists."""
    return {
        name: list(value) if isinstance(value := record[name], tuple) else value for name in wanted
    }


def _differing(documents: Mapping[int, Any], windows: Mapping[int, Any]) -> list[Any]:
    """Return the first few windows of which documents say something else."""
    assert documents.keys() == windows.keys()
    listed = {"items": "item_id", "item_units": "units", "item_gmv_minor": "gmv_minor"}
    wrong = []
    for start, figures in windows.items():
        document = {**documents[start], "window_start": start}
        for name, one in listed.items():
            document[name] = [item[one] for item in document["top_items"]]
        found = {name: document[name] for name in figures}
        if found != figures:
            wrong.append((found, figures))
    return wrong[:3]

"""The recommender over fakes: lists, versions, restarts, the meter, its server and its routes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from itertools import permutations
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr

from config.settings import Settings
from orchestration.recommendations.engine.index import Bounds
from serving.api.app import create
from serving.api.context import Context
from serving.consumers.product import Incoming, Result
from serving.lines import Asker, AwayError, FailedError
from serving.recommendations import keys, routes, server
from serving.recommendations.consumer import BACKLOG, ITEMS, SESSIONS, Recommendations
from serving.recommendations.purchases import BOUGHT, MOST, Purchases
from serving.recommendations.rehearsal import rehearse
from serving.store import MemoryStore
from tests.unit.serving.api_parts import KEY, MemoryValues, assert_problem

BOUNDS = Bounds(sessions=200, length=50, items=200, postings=20_000, clicks=1000)
HOUR = 3_600_000


def session(user: str, items: str, *, clicks: int | None = None, **other: Any) -> Incoming:
    """A session of one visitor; items by their letters, an upper-case one bought."""
    record = {
        "session_id": f"{user}-1",
        "user_id": user,
        "event_id": f"{user}-{items}",
        "started": 1000,
        "event_time": 1000 + len(items),
        "clicks": len(items) if clicks is None else clicks,
        "items": [one.lower() for one in items],
        "actions": ["transaction" if one.isupper() else "view" for one in items],
        "merged_into": None,
        "late": False,
        "produced_at": 0,
        **other,
    }
    return Incoming(record, timestamp=5, offset=0, topic=SESSIONS)


def item(name: str, **other: Any) -> Incoming:
    record = {"item_id": name, "category": None, "ancestors": [], "available": None, **other}
    return Incoming(record, timestamp=5, offset=0, topic=ITEMS)


class Shop:
    """A consumer and its store."""

    def __init__(self, store: MemoryStore | None = None, **other: Any) -> None:
        self.store, self.clock = store or MemoryStore(), 2_000_000
        self.product = Recommendations(BOUNDS, now=self.now, **other)

    def now(self) -> float:
        self.clock += 1
        return self.clock / 1000

    def take(self, *rows: Incoming) -> list[Result]:
        results = self.product.handle(rows)
        self.store.apply([write for result in results for write in result.writes])
        return results

    def quiet(self, ticks: int = 6) -> None:
        for _ in range(ticks):
            told = self.product.tick(int(self.now() * 1000))
            self.store.apply([write for result in told for write in result.writes])

    def list(self, user: str) -> list[str]:
        return [one["item"] for one in self.document(user)["items"]]

    def document(self, user: str) -> dict[str, Any]:
        stored = self.store.get(keys.visitor(user))
        assert stored is not None
        return dict(orjson.loads(stored.data))


def test_a_list_is_there_with_the_click_and_says_why() -> None:
    shop = Shop()
    shop.take(session("u", "tm"), session("v", "tS"))
    (result,) = shop.take(session("w", "t"))
    document = shop.document("w")
    assert document["items"][0] == {
        "item": "t",
        "score": document["items"][0]["score"],
        "reason": "seen",
    }
    reasons = {one["item"]: one["reason"] for one in document["items"]}
    assert reasons["m"] == "seen after t"
    assert reasons["s"] == "bought after t"
    assert (document["session_id"], document["clicks"]) == ("w-1", 1)
    assert document["event_time"] == "1970-01-01T00:00:01.001Z"
    assert result.origin == 5
    assert result.writes[0].ttl_ms == 7 * keys.DAY_MS


def test_the_list_changes_as_the_session_grows() -> None:
    shop = Shop()
    shop.take(session("u", "tm"), session("v", "xy"))
    shop.take(session("w", "t"))
    before = shop.list("w")
    shop.take(session("w", "tx"))
    assert shop.list("w")[:2] != before[:2]
    assert "y" in shop.list("w")


def test_of_a_backlog_only_the_newest_of_a_session_counts() -> None:
    product = Recommendations(BOUNDS)
    rows = [session("u", "t"), session("u", "tm"), session("v", "t"), item("t"), item("t")]
    assert [product.fold(row) for row in rows] == [
        (SESSIONS, "u-1"),
        (SESSIONS, "u-1"),
        (SESSIONS, "v-1"),
        (ITEMS, "t"),
        (ITEMS, "t"),
    ]


def test_late_and_merged_sessions_leave_no_list_of_their_own() -> None:
    shop = Shop()
    shop.take(session("u", "tm"), session("w", "t"))
    before = shop.document("u")
    late = session("u", "", clicks=0, session_id="late", late=True)
    (result,) = shop.take(late)
    assert result.writes == ()
    assert shop.document("u") == before
    two = session("u", "ab", session_id="u-2", started=5000, event_time=5002)
    gone = session("u", "", clicks=5, session_id="u-2", merged_into="u-1", event_time=5002)
    whole = session("u", "tmxab", event_time=5002)
    shop.take(two, gone, whole)
    assert shop.document("u")["session_id"] == "u-1"
    assert shop.product.engine.index.slot("u-2") < 0


def test_what_was_bought_or_is_gone_is_not_recommended() -> None:
    shop = Shop()
    shop.take(session("u", "tms"), item("s", available=False), session("w", "tM"))
    assert "m" not in shop.list("w")
    assert "s" not in shop.list("w")
    shop.take(item("s", available=True))
    shop.quiet()
    assert "s" in shop.list("w")


def test_what_was_bought_in_an_earlier_session_is_not_recommended_for_a_week() -> None:
    shop = Shop()
    shop.take(session("u", "tms"), session("v", "tm"))
    shop.take(session("w", "tM", event_time=2000))
    shop.take(session("w", "t", session_id="w-2", started=HOUR, event_time=HOUR))
    assert "m" not in shop.list("w")
    assert {"t", "s"} <= set(shop.list("w"))
    week = 7 * keys.DAY_MS
    shop.take(session("w", "t", session_id="w-3", started=week, event_time=week + 1999))
    assert "m" not in shop.list("w")
    shop.take(session("w", "t", session_id="w-4", started=week, event_time=week + 2000))
    assert "m" in shop.list("w")


def test_purchases_are_those_of_the_sessions_whatever_their_order() -> None:
    rows = [
        session("u", "aB", event_time=10),
        session("u", "aBc", event_time=30),
        session("u", "Bd", session_id="u-2", event_time=20),
        session("u", "E", session_id="u-3", event_time=5),
    ]
    wanted = {"b": 30, "e": 5}
    for order in permutations(rows):
        found = Purchases(10)
        for row in order:
            found.see(row.record)
        assert found.known["u"] == wanted


def test_purchases_are_bounded() -> None:
    found = Purchases(2)
    row = session("u", "", event_time=1)
    row.record["items"] = [f"i{place}" for place in range(MOST + 5)]
    row.record["actions"] = [BOUGHT] * (MOST + 5)
    found.see(row.record)
    assert len(found.known["u"]) == MOST
    for user in "vw":
        found.see(session(user, "A").record)
    assert list(found.known) == ["v", "w"]


def rounds(seed: int, users: int = 12) -> list[Incoming]:
    """Sessions that grow, of several visitors in turns; each in its order, as a partition is."""
    draw = random.Random(seed)
    whole = {
        f"u{n}": "".join(draw.choices("abcdefghij", k=draw.randint(1, 6))) for n in range(users)
    }
    clicks = [(user, n + 1) for user, items in whole.items() for n in range(len(items))]
    draw.shuffle(clicks)
    taken: dict[str, int] = {}
    rows = []
    for user, _ in clicks:
        taken[user] = taken.get(user, 0) + 1
        started = 1000 + int(user[1:])
        rows.append(session(user, whole[user][: taken[user]], started=started))
    return rows


def lists(shop: Shop) -> dict[str, Any]:
    users = [key for key in shop.store.values if key.startswith(keys.visitor("u"))]
    return {
        user: {**orjson.loads(shop.store.values[user].data), "computed_at": None} for user in users
    }


def of(rows: Iterable[Incoming], size: int = 1) -> Shop:
    shop, kept = Shop(), list(rows)
    for place in range(0, len(kept), size):
        shop.take(*kept[place : place + size])
    shop.quiet()
    return shop


@pytest.mark.parametrize("seed", range(5))
def test_replays_late_duplicates_batches_and_restarts_end_in_the_same_lists(seed: int) -> None:
    rows = rounds(seed)
    wanted = lists(of(rows))
    assert len(wanted) == 12
    draw = random.Random(seed)
    duplicated = [*rows, *draw.choices(rows, k=30)]
    assert lists(of(duplicated)) == wanted
    assert lists(of(rows, size=7)) == wanted
    newest = {row.record["session_id"]: row for row in rows}
    assert lists(of(newest.values(), size=100)) == wanted
    # A restart in the middle: the topic is read from its beginning to its end, then again from what
    # was committed.
    before = Shop()
    before.take(*rows[:20])
    after = Shop(before.store)
    after.clock = before.clock
    after.product.clear_state()
    for row in rows:
        after.product.restore_state(row)
    after.take(*rows[15:])
    after.quiet()
    assert lists(after) == wanted


def test_it_says_when_all_lists_are_as_new_as_the_index() -> None:
    registry, shop = CollectorRegistry(), Shop()
    shop.product.register(registry)

    def settled() -> float | None:
        return registry.get_sample_value("millrace_recommendations_settled")

    shop.take(session("u", "tm"), session("v", "ts"))
    shop.quiet(1)
    assert settled() == 0
    shop.quiet(5)
    assert settled() == 1
    shop.take(session("u", "tm"))  # a repetition
    assert settled() == 1
    shop.take(session("u", "tms"))
    assert settled() == 0


def test_a_store_that_forgot_gets_its_lists_again() -> None:
    rows = rounds(1)
    wanted = lists(of(rows))
    shop = Shop()
    for row in rows:
        shop.product.restore_state(row)
    shop.quiet()
    assert lists(shop) == wanted


def test_only_so_many_visitors_are_remembered() -> None:
    shop = Shop(visitors=2)
    shop.take(session("u", "ab"), session("v", "bc"), session("w", "cd"), session("v", "bcd"))
    shop.take(session("x", "a"))
    assert len(shop.product._visitors.known) == 2
    assert shop.list("u")


def test_in_a_backlog_lists_wait_for_its_end_the_newest_first() -> None:
    shop = Shop()
    shop.product.came = BACKLOG
    results = shop.take(session("u", "ab"), session("v", "bc"))
    assert [result.writes for result in results] == [(), ()]
    assert shop.product.tick(1) == ()
    first, second, *_ = shop.product.tick(2)
    assert [first.writes[0].key, second.writes[0].key] == [keys.visitor("v"), keys.visitor("u")]


# The meter


def test_hits_are_counted_by_the_hour_of_the_click() -> None:
    registry, shop = CollectorRegistry(), Shop()
    shop.product.register(registry)
    shop.take(session("u", "ab"), session("v", "a"))
    shop.take(session("v", "ab", event_time=HOUR + 5))  # b was listed
    shop.take(session("v", "abz", event_time=HOUR + 6))  # z was not
    shop.take(session("v", "abz", event_time=HOUR + 6))  # a repetition
    shop.take(session("v", "abzqb", event_time=HOUR + 7))  # a click between was folded away
    told = generate_latest(registry).decode()
    assert "millrace_recommendations_clicks_total 2.0" in told
    assert "millrace_recommendations_hits_total 1.0" in told
    assert "millrace_recommendations_sessions 2.0" in told
    shop.quiet(1)
    (name,) = shop.store.newest(keys.HOURS, 5)
    stored = shop.store.get(keys.hour(name.decode()))
    assert stored is not None
    assert orjson.loads(stored.data) == {"hour": "1970-01-01T01:00:00.000Z", "clicks": 2, "hits": 1}


# HTTP


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def shop(values: MemoryValues) -> Shop:
    shop = Shop(values.store)
    shop.take(session("u", "tm"), session("v", "tS"), item("m", category="beds"))
    shop.quiet()
    return shop


@pytest.fixture
async def api(values: MemoryValues, shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    """The API, with the recommender's server behind it."""
    configured = Settings(api_keys=SecretStr("key-one"))
    context = Context(configured, values, codec=None)  # type: ignore[arg-type]
    inner = server.serve(shop.product, "127.0.0.1", 0)
    context.parts[routes.PART] = asker = Asker(f"tcp://127.0.0.1:{inner.port}")
    outer = httpx.ASGITransport(create(context, [routes]), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=outer, base_url="http://api", headers=KEY) as client:
        yield client
    asker.close()
    inner.close()


@pytest.mark.anyio
async def test_a_visitor_s_list(api: httpx.AsyncClient, shop: Shop) -> None:
    answer = await api.get("/v1/recommendations/u")
    assert answer.json() == shop.document("u")


@pytest.mark.anyio
async def test_a_cold_visitor_gets_what_is_popular(api: httpx.AsyncClient) -> None:
    answer = (await api.get("/v1/recommendations/new/one")).json()
    assert (answer["user_id"], answer["session_id"], answer["clicks"]) == ("new/one", None, 0)
    assert answer["items"][0]["item"] == "t"
    assert {one["reason"] for one in answer["items"]} == {"popular"}


@pytest.mark.anyio
async def test_a_session_in_hand(api: httpx.AsyncClient) -> None:
    async def ask(**asked: Any) -> list[tuple[str, str]]:
        answer = await api.post("/v1/recommendations/session", json=asked)
        assert answer.status_code == 200, answer.text
        return [(one["item"], one["reason"]) for one in answer.json()["items"]]

    assert set(await ask(items=["t"])) == {
        ("t", "seen"),
        ("m", "seen after t"),
        ("s", "bought after t"),
    }
    assert {one for one, _ in await ask(items=["t"], repeats=False)} == {"m", "s"}
    assert len(await ask(items=["t"], limit=2, diversity=0.5)) == 2
    bought = await ask(items=["t", "m"], actions=["view", "transaction"])
    assert "m" not in dict(bought)
    assert await ask(items=[], limit=1, category="beds") == [("m", "popular beds")]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 422, "not valid"),
        (b'{"items": ["t"], "limit": 0}', 422, "not valid"),
        (b'{"items": [""]}', 422, "not valid"),
        (b'{"items": ["t"], "colour": 1}', 422, "not valid"),
        (b'{"items": ["t"], "actions": []}', 422, "1 items, but 0 actions"),
    ],
)
async def test_bad_input(api: httpx.AsyncClient, body: bytes, status: int, said: str) -> None:
    answer = await api.post("/v1/recommendations/session", content=body)
    assert_problem(answer, status, said, "/v1/recommendations/session")


@pytest.mark.anyio
@pytest.mark.parametrize("error", [AwayError("no"), FailedError("IndexError")])
async def test_a_recommender_that_is_away_or_fails(
    api: httpx.AsyncClient, monkeypatch: Any, error: Exception
) -> None:
    async def away(*_: Any) -> bytes:
        raise error

    monkeypatch.setattr(Asker, "ask", away)
    answer = await api.request("POST", "/v1/recommendations/session", json={"items": ["t"]})
    assert_problem(answer, 503, "does not answer", "/v1/recommendations/session")


@pytest.mark.anyio
async def test_the_hit_rate_of_all_lives(api: httpx.AsyncClient, values: MemoryValues) -> None:
    values.store.apply(
        [
            keys.hour_of_hits(HOUR, 1, 10, 4),
            keys.hour_of_hits(HOUR, 2, 10, 5),
            keys.hour_of_hits(2 * HOUR, 2, 5, 1),
        ]
    )
    answer = (await api.get("/v1/metrics/recommendations?limit=2")).json()["hours"]
    assert [(one["clicks"], one["hits"], one["hit_rate"]) for one in answer] == [
        (5, 1, 0.2),
        (20, 9, 0.45),
    ]


def test_a_rehearsal_recommends_what_follows() -> None:
    found = [one.item for one in rehearse()]
    assert {"c", "d"} <= set(found)
    assert "e" not in found, "it is not available"

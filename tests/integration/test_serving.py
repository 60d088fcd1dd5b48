"""Serving against real Redis, Kafka, registry and Flink."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis

from config.settings import Settings
from domain.times import iso
from ingestion.kafka.producer import KafkaSink
from ingestion.wire.codec import Codec
from ingestion.wire.registry import Registry
from millrace.stack.harness import Stack
from millrace.unlisting import unlisted
from serving.consumers.run import metrics_port
from serving.store import RedisStore, Stored, StoreRestartedError
from tests.integration.parts import caught_up, ends, read, until
from tests.integration.payments import CONSUMER_GROUP
from tests.unit.serving.store_conformance import StoreConformance, payment


@pytest.fixture
def client(harness: Stack) -> Iterator[redis.Redis]:
    """A database of their own for the tests of the store: the stack's holds a million keys."""
    settings = harness.settings
    with redis.Redis(host=settings.host, port=settings.port("redis"), db=1) as client:
        yield client
        client.flushdb()


class TestRedisStore(StoreConformance):
    """The suite that the in-memory store passes, on a real Redis."""

    @pytest.fixture
    def store(self, client: redis.Redis) -> RedisStore:
        return RedisStore(client)

    def test_a_redis_that_has_started_anew_is_told(
        self, store: RedisStore, client: redis.Redis
    ) -> None:
        store.apply([payment("a", 1, 1, b"a")])
        client.script_flush()  # as a restart does
        RedisStore(client).apply([payment("c", 1, 1, b"c")])  # another process was there first
        for step in (store.check, lambda: store.apply([payment("a", 2, 2, b"no")]), store.check):
            with pytest.raises(StoreRestartedError):
                step()
        after = RedisStore(client)
        after.check()
        assert after.apply([payment("a", 2, 2, b"no"), payment("b", 3, 3, b"b")]) == [
            Stored(1, 1, b"a"),
            None,
        ]
        assert after.get("x:latest") == Stored(3, 3, b"b")
        after.check()


@pytest.fixture
def configured(harness: Stack) -> Settings:
    return harness.settings


@pytest.fixture
def codec(configured: Settings) -> Iterator[Codec]:
    with Registry(configured.registry_url) as registry:
        yield Codec(registry)


@pytest.fixture
def sink(configured: Settings) -> Iterator[KafkaSink]:
    with KafkaSink(configured.kafka_bootstrap, client_id="tests") as sink:
        yield sink


def pay(name: str, **changes: Any) -> dict[str, Any]:
    payment = {
        "transaction_id": name,
        "customer_id": f"c-{name}",
        "terminal_id": "m-serving",
        "amount": 12.5,
    }
    return {**payment, "event_time": "2025-05-01T12:00:00Z", **changes}


def ask(api: httpx.Client, body: dict[str, Any]) -> httpx.Response:
    return api.post("/v1/fraud/transactions", params={"deadline_ms": 30_000}, json=body)


def test_a_payment_is_decided_stored_and_found_again(api: httpx.Client) -> None:
    answer = ask(api, pay("serving-1"))
    assert answer.status_code == 200, answer.text
    decided = answer.json()
    assert decided["decision"] in {"approve", "review", "block"}
    assert decided["event_time"] == "2025-05-01T12:00:00.000Z"
    assert api.get("/v1/fraud/transactions/serving-1").json() == decided
    assert ask(api, pay("serving-1")).json() == decided
    assert ask(api, pay("serving-1", amount=99_999)).status_code == 409
    customer = api.get("/v1/fraud/customers/c-serving-1").json()
    assert customer == {"customer_id": "c-serving-1", "latest": decided, "recent": [decided]}


def test_many_at_once_get_each_its_own(api: httpx.Client) -> None:
    names = [f"serving-many-{number}" for number in range(60)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda name: ask(api, pay(name)), names))
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.json()["transaction_id"] for answer in answers] == names


def test_a_listed_customer_is_blocked_until_they_are_forgotten(
    api: httpx.Client, configured: Settings
) -> None:
    lists, customer = "/v1/fraud/lists/blocked/customer", f"c-{uuid.uuid4().hex}"
    answer = api.post(lists, json={"id": customer, "note": "card stolen"})
    assert answer.status_code == 202, answer.text
    until("it is listed", lambda: api.get(f"{lists}/{customer}").status_code == 200, 10)

    def decided() -> dict[str, Any]:
        name = f"serving-listed-{uuid.uuid4().hex}"
        found: dict[str, Any] = ask(api, pay(name, customer_id=customer)).json()
        return found

    until("they are blocked", lambda: decided()["decision"] == "block", 10)
    blocked = decided()
    assert (blocked["listed"], blocked["reasons"][0]) == (
        ["blocked/customer"],
        "list:blocked/customer",
    )
    assert blocked["rules_version"].startswith("rules-")
    assert unlisted(configured, customer) == 1
    until("they are forgotten", lambda: decided()["listed"] == [], 10)
    assert decided()["lists_offset"] > blocked["lists_offset"]
    assert unlisted(configured, customer) == 0
    assert api.get(f"{lists}/{customer}").status_code == 404


def test_after_the_deadline_the_link_leads_to_the_decision(
    api: httpx.Client, harness: Stack
) -> None:
    harness.stop("consumer-fraud")
    try:
        answer = api.post(
            "/v1/fraud/transactions", params={"deadline_ms": 2000}, json=pay("serving/late")
        )
        assert answer.status_code == 202, answer.text
        link = answer.headers["location"]
        assert api.get(link).status_code == 404
    finally:
        harness.up("consumer-fraud")
    until("the decision is there", lambda: api.get(link).status_code == 200)
    assert api.get(link).json()["transaction_id"] == "serving/late"


def test_poison_among_features_is_quarantined_and_scoring_goes_on(
    api: httpx.Client, configured: Settings, sink: KafkaSink, codec: Codec
) -> None:
    poison = f"no avro at all {uuid.uuid4()}".encode()
    sink.send("fraud-features", "c", poison)
    sink.flush()
    assert ask(api, pay("serving-after-poison")).status_code == 200

    def found() -> list[dict[str, Any]]:
        return [one for one in read(configured, "quarantine", codec) if one["value"] == poison]

    (record,) = until("it is in quarantine", found)
    assert (record["reason"], record["source_topic"]) == ("bad_magic", "fraud-features")
    assert (record["key"], record["job"]) == (b"c", "consumer/fraud")
    until("offsets are committed", lambda: caught_up(configured, CONSUMER_GROUP, "fraud-features"))


@pytest.fixture(scope="module")
def version(harness: Stack) -> str:
    """A second model, published and not promoted."""
    options = ("--days", "24", "--customers", "60", "--strikes", "80", "--seed", "11", "--json")
    return str(json.loads(harness.cli("train", "fraud", "--simulate", *options))["version"])


@pytest.mark.long
def test_a_challenger_scores_beside_decides_nothing_and_is_told_once_through_a_kill(
    api: httpx.Client, harness: Stack, codec: Codec, version: str
) -> None:
    champion = ask(api, pay("serving-shadow-before")).json()["model_version"]
    harness.cli("model", "shadow", "fraud", version)
    start, numbers = ends(harness.settings, "fraud-shadow-scores"), iter(range(1000))

    def paid() -> str:
        name = f"serving-shadow-{next(numbers)}"
        assert ask(api, pay(name)).json()["model_version"] == champion
        return name

    def told() -> set[str]:
        every = read(harness.settings, "fraud-shadow-scores", codec, start)
        return {one["transaction_id"] for one in every}

    until("it scores", lambda: paid() in told())
    names = [paid() for _ in range(20)]
    harness.killed_and_back("consumer-fraud")
    names += [paid() for _ in range(5)]
    until("all are told", lambda: set(names) <= told())
    verdict = f"/v1/fraud/transactions/{names[0]}/verdict"
    assert api.post(verdict, json={"fraud": True}).status_code in {200, 202}
    report = ("model", "shadow", "fraud", "--report", "--json")
    (found,) = json.loads(harness.cli(*report))
    assert (found["champion"], found["challenger"]) == (champion, version)
    assert found["payments"] == len(told())
    assert (found["judged"], found["frauds"]) == (1, 1)

    harness.cli("model", "shadow", "fraud", "--off")
    until("it scores no more", lambda: paid() not in told())


def test_a_model_is_taken_up_and_withdrawn_without_a_restart(
    api: httpx.Client, harness: Stack, version: str
) -> None:
    before, process = ask(api, pay("serving-model-1")).json(), harness.info("consumer-fraud").pid
    numbers = iter(range(1000))

    def scored_by() -> str:
        decided: dict[str, str] = ask(api, pay(f"serving-model-2-{next(numbers)}")).json()
        return decided["model_version"]

    assert version != scored_by() == before["model_version"]
    harness.cli("model", "promote", "fraud", "latest")
    until("the new model scores", lambda: scored_by() == version)
    harness.cli("model", "rollback", "fraud")
    until("the old model scores again", lambda: scored_by() == before["model_version"])
    assert harness.info("consumer-fraud").pid == process
    assert ask(api, pay("serving-model-1")).json() == before


def test_business_metrics_come_newest_first(
    api: httpx.Client, sink: KafkaSink, codec: Codec
) -> None:
    start = 4_000_000_020_000  # 2096-10-02T07:07:00Z: later than anything that other tests replay
    record = {
        "window_start": start,
        "window_end": start + 60_000,
        "orders": 2,
        "gmv": 30.5,
        "unpriced_lines": 1,
        "active_visitors": 8,
        "buyers": 2,
        "conversion": 0.25,
        "events": 40,
    }
    for moment in (start - 60_000, start):
        record |= {"window_start": moment, "window_end": moment + 60_000}
        sink.send("business-metrics", str(moment), codec.encode("business-metrics", record))
    sink.flush()

    def newest() -> list[dict[str, Any]]:
        windows: list[dict[str, Any]] = api.get("/v1/metrics/business", params={"limit": 2}).json()[
            "windows"
        ]
        return [window for window in windows if window["window_start"].startswith("2096-10-02")]

    first, second = until("both are there", lambda: found if len(found := newest()) == 2 else [])
    assert first["window_start"] == "2096-10-02T07:07:00.000Z"
    assert (second["window_start"], first["conversion"]) == ("2096-10-02T07:06:00.000Z", 0.25)


def test_an_hour_outside_its_band_is_told_once_though_its_consumer_is_killed(
    api: httpx.Client, harness: Stack, sink: KafkaSink, codec: Codec
) -> None:
    day, hour = 86_400_000, 3_600_000
    first = 3_944_678_400_000  # 2095: earlier than the minutes above, later than all others
    values = [1000, 1100, 900, 1000, 1050, 950, 1000, 100, 90, 1010, 1000]
    before = ends(harness.settings, "alerts")

    def send(place: int) -> None:
        """Send an hour of every second day, and a minute by which it is over."""
        start = first + 2 * place * day
        for moment, length in ((start, hour), (start + 2 * hour, 60_000)):
            record = {
                "window_start": moment,
                "window_end": moment + length,
                "window_ms": length,
                "orders": 1,
                "gmv": values[place],
                "gmv_minor": 100 * values[place],
                "unpriced_lines": 0,
                "active_visitors": 1,
                "buyers": 1,
                "events": 1,
            }
            sink.send("business-metrics", str(moment), codec.encode("business-metrics", record))

    def stored(place: int) -> bool:
        bounds: dict[str, str | int] = {
            "from": iso(first + 2 * place * day),
            "window": "1h",
            "limit": 1,
        }
        return bool(api.get("/v1/metrics/business", params=bounds).json()["windows"])

    for place in range(8):
        send(place)
    sink.flush()
    until("the first alert's hour is stored", lambda: stored(7))
    harness.killed_and_back("consumer-business")
    for place in range(8, 11):
        send(place)
    sink.flush()

    def told() -> dict[tuple[str, str], Any]:
        mine: dict[tuple[str, str], Any] = {}
        for one in read(harness.settings, "alerts", codec, before, "shop".__eq__):
            assert mine.setdefault((one["alert_id"], one["state"]), one) == one
        return mine

    name = f"business/GMV/{first + 14 * day}"
    until("the alert clears", lambda: (name, "cleared") in told())
    until("the last hour is stored", lambda: stored(10))
    assert told().keys() == {(name, "open"), (name, "cleared")}


def test_consumers_tell_their_state(api: httpx.Client, configured: Settings) -> None:
    for name in ("fraud", "business"):
        url = f"http://{configured.host}:{metrics_port(configured, name)}"
        assert httpx.get(f"{url}/readyz").json() == {"ready": True, "missing": {}, "waiting": {}}
        metrics = httpx.get(f"{url}/metrics").text
        assert f'millrace_event_to_store_seconds_count{{consumer="{name}"}}' in metrics
    assert "millrace_api_request_seconds_bucket" in api.get("/metrics").text

"""The live page: what is open, what takes a key, and what the figures on it are made of."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from config.settings import Settings
from domain.events import FraudScore
from serving.api.app import create
from serving.api.context import Context
from serving.fraud import keys as fraud_keys
from serving.fraud import page as of_fraud
from serving.page.panel import every, way
from serving.page.prometheus import Latency, Rate, quantile, read
from serving.page.routes import POLICY
from serving.page.watch import Watch
from serving.recommendations.spotlight import PAUSE_MS, QUIET_MS, Spotlight
from tests.unit.serving.api_parts import KEY, MemoryValues

STATIC = Path(of_fraud.__file__).parents[1] / "page" / "static"


@pytest.fixture
def app(context: Context) -> FastAPI:
    return create(context, [of_fraud])


@pytest.fixture
def visitor(app: FastAPI) -> httpx.AsyncClient:
    """Somebody without a key."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api")


@pytest.mark.anyio
async def test_the_page_and_its_files_are_open_under_a_strict_policy(
    visitor: httpx.AsyncClient,
) -> None:
    page = await visitor.get("/")
    assert page.status_code == 200
    assert page.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    reviews = await visitor.get("/page/reviews")
    assert reviews.headers["content-security-policy"] == POLICY
    named = re.findall(r'(?:src|href)="(/page/[^"#]+)', page.text + reviews.text)
    assert "/page/sheets/reviews.js" in named
    for path in (*named, "/page/panels/flagged.js", "/page/panels/ways.js"):
        answer = await visitor.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["x-content-type-options"] == "nosniff"
    # The policy forbids scripts and styles in the page itself.
    for text in (page.text, reviews.text):
        assert not re.search(r"<script(?![^>]*src=)|<style| style=| on\w+=", text)


@pytest.mark.anyio
async def test_what_the_page_shows_takes_a_key(visitor: httpx.AsyncClient) -> None:
    for path in ("/v1/page/panels", "/v1/page/stream"):
        assert (await visitor.get(path)).status_code == 401
    answer = await visitor.get("/v1/page/panels", headers=KEY)
    assert [one["name"] for one in answer.json()["panels"]] == ["ways", "flagged", "processes"]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/page/none.js", "/page/../keys.py", "/page/%2e%2e/page.py"])
async def test_only_the_pages_own_files_are_there(visitor: httpx.AsyncClient, path: str) -> None:
    answer = await visitor.get(path)
    assert answer.status_code in (401, 404)


def test_scripts_import_only_what_is_there() -> None:
    for script in [*STATIC.glob("*.js"), *STATIC.parents[1].glob("[!p]*/*.js")]:
        for name in re.findall(r'from "/page/([^"]+)"', script.read_text()):
            assert (STATIC / name).exists(), (script, name)
        assert "http://" not in script.read_text().replace("http://www.w3.org", "")


@pytest.mark.anyio
async def test_payments_not_approved_the_newest_first() -> None:
    values = MemoryValues()

    def decide(name: str, at: int, decision: str) -> None:
        made = FraudScore(
            transaction_id=name,
            customer_id="c",
            terminal_id="m",
            event_time=at,
            amount=10.0,
            score=0.9,
            decision=cast("Any", decision),
            sequence=at,
            model_version="1",
            feature_set_version="1",
            late=False,
            produced_at=at,
            features_at=at,
            scored_at=at,
        )
        record = asdict(made)
        values.store.apply([fraud_keys.decision(record)])
        if decision != "approve":
            values.store.apply([fraud_keys.suspect(record, {})])

    decide("r", 3000, "review")
    decide("b", 5000, "block")
    decide("a", 9000, "approve")
    # Decided anew after a restart; the first decision stays.
    decide("stays", 7000, "approve")
    decide("stays", 7000, "block")
    (panel,) = of_fraud.panels
    found = await panel.collect(cast("Context", SimpleNamespace(values=values)))
    assert [one["transaction_id"] for one in found["flagged"]] == ["b", "r"]


class TestFigures:
    def test_of_the_librarys_own_page(self) -> None:
        registry = CollectorRegistry()
        bounds = (0.01, 0.1, 1.0)
        seconds = Histogram(
            "millrace_event_to_store_seconds", "x", ["consumer"], buckets=bounds, registry=registry
        )
        records = Counter(
            "millrace_consumer_records", "x", ["consumer", "topic"], registry=registry
        )
        for value in (0.005, 0.05, 0.05, 0.5):
            seconds.labels("c").observe(value)
        records.labels("c", "a").inc(3)
        records.labels("c", "b").inc(4)
        found = read(generate_latest(registry).decode())
        assert found.records == 7
        assert found.buckets == {0.01: 1, 0.1: 3, 1.0: 4, float("inf"): 4}

    def test_quantiles_by_hand(self) -> None:
        buckets = {0.1: 50.0, 0.2: 90.0, float("inf"): 100.0}
        assert quantile(buckets, 0.5) == pytest.approx(0.1)
        assert quantile(buckets, 0.7) == pytest.approx(0.15)
        assert quantile(buckets, 0.99) == 0.2
        assert quantile({}, 0.5) is None
        assert quantile({float("inf"): 0.0}, 0.5) is None

    def test_rates_by_hand(self) -> None:
        rate = Rate()
        told = [rate.add(moment, count) for moment, count in [(0, 0), (1, 10), (2, 30), (8, 90)]]
        assert told == [None, 10.0, 15.0, 10.0]
        assert rate.add(9, 5) is None  # it began anew
        assert rate.add(10, 7) == 2.0
        assert rate.add(40, 700) is None  # nobody looked for long

    def test_latency_is_of_the_last_seconds(self) -> None:
        latency = Latency()
        end = float("inf")
        assert latency.add(0, {0.1: 100, 1.0: 100, end: 100}) == [None, None]
        assert latency.add(1, {0.1: 100, 1.0: 110, end: 110}) == pytest.approx([0.55, 0.991])


@pytest.mark.anyio
async def test_what_is_asked_seldom_repeats_its_answer_to_the_same_app() -> None:
    now, asked = [0.0], []

    async def collect(context: Context) -> dict[str, Any]:
        asked.append(context)
        return {"n": len(asked)}

    seldom = every(2.0, collect, clock=lambda: now[0])
    one, other = cast("Context", object()), cast("Context", object())
    told = []
    for moment, context in [(0.0, one), (1.9, one), (2.0, one), (2.1, other), (2.2, one)]:
        now[0] = moment
        told.append((await seldom(context))["n"])
    assert told == [1, 1, 2, 3, 4]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("by_name", "hosts"),
    [
        (False, {"127.0.0.1"}),
        (True, {"127.0.0.1", "jobs", "consumer-fraud", "consumer-fraud-verdicts"}),
    ],
)
async def test_processes_are_asked_where_they_are_reached(by_name: bool, hosts: set[str]) -> None:
    asked = set()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.add(request.url.host)
        return httpx.Response(503, json={})

    configured = Settings(groups="core,fraud", processes_by_name=by_name, _env_file=None)  # type: ignore[call-arg]
    ends = SimpleNamespace(read=dict)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        await Watch(configured, MemoryValues(), ends, client, lambda: 0.0).sample()
    assert asked == hosts


def test_a_way_is_written_as_it_is_drawn() -> None:
    made = way("Clicks", "topic:clicks job:count store:Redis")
    assert [(one.kind, one.name) for one in made.steps] == [
        ("topic", "clicks"),
        ("job", "count"),
        ("store", "Redis"),
    ]


def test_one_visitor_is_watched_until_quiet_and_no_faster_than_people_read() -> None:
    light = Spotlight()
    clicks: list[tuple[str, int, Any]] = [
        ("a", 1000, True),
        ("b", 1100, False),
        ("a", 1000 + PAUSE_MS - 1, False),
        ("a", 1000 + PAUSE_MS, True),
        ("b", 1000 + PAUSE_MS + QUIET_MS - 1, False),
        ("b", 1000 + PAUSE_MS + QUIET_MS, True),
        ("a", 1001 + PAUSE_MS + QUIET_MS, False),
    ]
    assert [light.takes(user, moment) for user, moment, _ in clicks] == [one[2] for one in clicks]

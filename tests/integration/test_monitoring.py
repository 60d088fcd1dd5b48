"""The monitoring beside a stack: all is scraped, and alerts fire when what they are about happens.

Their durations are a fiftieth of those in earnest.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from config.settings import Settings
from domain.events import Transaction
from domain.fraud.pipeline import feature_rows
from millrace.stack.environ import api_keys
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from monitoring.pace import Pace
from monitoring.rules import alerts
from tests.integration.parts import plug, until

GROUPS = "core,fraud,monitoring"
SPED_UP = {
    "MILLRACE_GROUPS": GROUPS,
    "MILLRACE_MONITORING_SCRAPE_S": "1",
    "MILLRACE_MONITORING_PATIENCE": "0.02",
    "MILLRACE_FLINK_CHECKPOINT_INTERVAL_MS": "5000",
}
METRIC = re.compile(r"(?<![:\w])(?:millrace|flink|node)_\w+|\bup\b")
# What these tell of exists from the first time that it happens.
LATER = {"millrace_kafka_group_lag_records"}

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        shutil.which("prometheus-alertmanager") is None,
        reason="no Alertmanager: scripts/setup.sh --with monitoring",
    ),
]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, model: str, _ours: Stack) -> Iterator[Stack]:
    """A stack of its own with its monitoring, on ports beside the session's."""
    state = tmp_path_factory.mktemp("watched")
    shutil.copytree(_ours.layout.models, state / "models", symlinks=True)
    with shifted(state, offset=SECOND_OFFSET, environ=SPED_UP) as second:
        second.up()
        yield second


class Watch:
    """Prometheus' answers, and the alerts that the platform tells people of."""

    def __init__(self, stack: Stack) -> None:
        loaded = stack.settings
        self._prometheus = f"http://{loaded.host}:{loaded.port('prometheus')}/api/v1"
        self._api = f"http://{loaded.host}:{loaded.port('api')}/v1/alerts"
        self._key = {"X-API-Key": api_keys(loaded).split(",")[0]}

    def asked(self, query: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self._prometheus}/query", params={"query": query}, timeout=30)
        found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]["result"]
        return found

    def told(self, kind: str, *states: str) -> bool:
        answer = httpx.get(self._api, params={"limit": 500}, headers=self._key, timeout=30)
        found = answer.raise_for_status().json()["alerts"]
        return any(one["kind"] == kind and one["state"] in states for one in found)


@pytest.fixture
def watch(watched: Stack) -> Watch:
    return Watch(watched)


def _send(loaded: Settings, first: int, count: int) -> None:
    payments = [
        Transaction(
            transaction_id=f"w{number}",
            event_time=1_700_000_000_000 + number * 1000,
            customer_id=f"c{number % 20}",
            terminal_id="m",
            amount=20.0,
        )
        for number in range(first, first + count)
    ]
    with plug(loaded) as (sink, codec):
        for row in feature_rows(payments, []):
            sink.send("fraud-features", row["customer_id"], codec.encode("fraud-features", row))


def _all_up(found: list[dict[str, Any]]) -> bool:
    return len(found) > 8 and all(float(one["value"][1]) for one in found)


def test_every_process_is_scraped_and_every_rule_has_its_metrics(
    watched: Stack, watch: Watch
) -> None:
    _send(watched.settings, 0, 50)
    until("every process answers Prometheus", lambda: _all_up(watch.asked("up")))
    known = watched.settings.groups.split(",")
    names = {
        name for one in alerts(known) for name in METRIC.findall(Pace().expression(one.expr))
    } - LATER
    lacking = set(names)

    def there() -> bool:
        lacking.difference_update([name for name in [*lacking] if watch.asked(f"count({name})")])
        return not lacking

    until(f"each metric is there: {lacking}", there, timeout=60)


def test_garbage_opens_an_alert_that_clears(watched: Stack, watch: Watch) -> None:
    with plug(watched.settings) as (sink, _):
        sink.send("transactions", "c", b"no Avro")
    until("people hear of the quarantine", lambda: watch.told("QuarantineGrowing", "open"))
    until("the alert clears", lambda: watch.told("QuarantineGrowing", "cleared"))


def test_a_scorer_that_stands_still_is_told_of(watched: Stack, watch: Watch) -> None:
    watched.stop("consumer-fraud")
    sent = iter(range(1000, 100_000, 10))

    def silent() -> bool:
        _send(watched.settings, next(sent), 10)
        return watch.told("ScorerSilent", "open")

    until("people hear of the scorer", silent, pause=0.5)
    watched.up("consumer-fraud")
    until("the alert clears", lambda: watch.told("ScorerSilent", "cleared"))


def test_a_job_that_restarts_is_told_of(watched: Stack, watch: Watch) -> None:
    watched.killed_and_back("taskmanager")
    fired = 'max_over_time(ALERTS{alertname="JobRestarting",alertstate="firing"}[5m])'
    until("the rule has fired", lambda: watch.asked(fired))
    # While a job does not run nobody needs to hear that it restarts.
    until("people hear of the job", lambda: watch.told("JobNotRunning", "open", "cleared"))


def test_a_redis_that_fills_up_is_told_of(watched: Stack, watch: Watch) -> None:
    with redis.Redis.from_url(watched.settings.redis_url) as client:
        info: Any = client.info("memory")
        client.config_set("maxmemory", int(info["used_memory"] * 1.05))
        try:
            until("people hear of it", lambda: watch.told("RedisNearlyFull", "open"))
        finally:
            client.config_set("maxmemory", 0)
    until("the alert clears", lambda: watch.told("RedisNearlyFull", "cleared"))

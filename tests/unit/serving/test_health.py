from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client import generate_latest

from config.health import serve
from serving.consumers.health import Health
from serving.consumers.metrics import Metrics


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


@pytest.fixture
def url(health: Health) -> Iterator[str]:
    registry = Metrics("x").registry
    server = serve("127.0.0.1", 0, health, lambda: generate_latest(registry))
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_alive_while_the_loop_turns(url: str, health: Health, clock: Clock) -> None:
    assert httpx.get(f"{url}/healthz").json() == {"alive": True}
    clock.now = 61
    assert httpx.get(f"{url}/healthz").status_code == 503
    health.beat()
    assert httpx.get(f"{url}/healthz").status_code == 200


def test_ready_names_what_is_missing(url: str, health: Health) -> None:
    health.missing = {"product": "no model"}
    answer = httpx.get(f"{url}/readyz")
    assert (answer.status_code, answer.json()) == (
        503,
        {"ready": False, "missing": {"product": "no model"}, "waiting": {}},
    )
    health.missing = {}
    fine = {"ready": True, "missing": {}, "waiting": {}}
    assert httpx.get(f"{url}/readyz").json() == fine


def test_what_only_waits_is_ready_and_says_for_what(url: str, health: Health) -> None:
    health.missing, health.waiting = {}, {"product": "a first model"}
    answer = httpx.get(f"{url}/readyz")
    assert (answer.status_code, answer.json()) == (
        200,
        {"ready": True, "missing": {}, "waiting": {"product": "a first model"}},
    )


def test_metrics_and_unknown_paths(url: str) -> None:
    assert "millrace_consumer_batch_records" in httpx.get(f"{url}/metrics").text
    assert httpx.get(f"{url}/nothing").status_code == 404

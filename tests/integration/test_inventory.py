"""Stock through the real job and consumer, which die on the way.

The group is off by default, so the job is submitted here, and the consumer is started as a process.
`tests/integration/exercises/inventory.py` says what must come of it.
"""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import httpx
import pytest
import redis

from config.settings import ROOT, Settings
from millrace.stack.harness import Stack
from tests.integration.exercises import Hands
from tests.integration.exercises.inventory import JOB, Stock, exercise
from tests.integration.parts import paced, plug, restarts, until

CALM_S = 6.0  # longer than from one checkpoint to the next


class Consumer:
    """The consumer as a process."""

    def __init__(self, stack: Settings) -> None:
        self._url = f"http://{stack.host}:{19109 + stack.port_offset}/readyz"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        line = [sys.executable, "-m", "serving.inventory.consumer"]
        self._process = subprocess.Popen(line, cwd=ROOT)
        until("the consumer is ready", self._ready)

    def end(self, *, kill: bool = False) -> None:
        if self._process is not None:
            self._process.kill() if kill else self._process.terminate()
            self._process.wait(30)

    def _ready(self) -> bool:
        try:
            return httpx.get(self._url).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def consumer(harness: Stack) -> Iterator[Consumer]:
    one = Consumer(harness.settings)
    try:
        harness.cli("jobs", "submit", JOB)
        one.start()
        yield one
    finally:
        one.end()
        harness.cli("jobs", "stop", JOB)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_stock_demand_and_alerts_are_those_of_the_log_although_job_and_consumer_die(
    harness: Stack, stack: Settings, api: httpx.Client, consumer: Consumer
) -> None:
    with redis.Redis.from_url(stack.redis_url) as client, plug(stack) as (sink, codec):
        run = f"stock-{uuid.uuid4().hex[:8]}"
        one = exercise(Hands(stack, sink, codec, client, api, run))
        assert isinstance(one, Stock)
        one.served = False  # the API of this stack does not have the group's routes
        with paced(one.sending(), one.rate):
            until("the books are open and sell", lambda: len(one.sales) > 200)
            time.sleep(CALM_S)
            died = restarts(stack, JOB)
            harness.killed_and_back("taskmanager")
            consumer.end(kill=True)
            consumer.start()
            until("the job runs again", lambda: restarts(stack, JOB) > died)
        one.through()
        one.verify()
        before = one.stored()
        one.repeat()
        one.through()
        assert one.stored() == before, "a repetition changed what is stored"

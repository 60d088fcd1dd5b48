"""What a health page says, as `up`, `status` and `doctor` tell it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.health import serve
from config.settings import Settings
from millrace.stack import probes
from millrace.stack.process import Probe, Process
from serving.consumers.health import Health

LOCAL = Settings(state_dir=Path("none"))


@pytest.fixture
def health() -> Health:
    return Health(lambda: 0.0)


@pytest.fixture
def process(health: Health) -> Iterator[Process]:
    server = serve("127.0.0.1", 0, health, lambda: b"")
    target = f"http://127.0.0.1:{server.server_port}/readyz"
    yield Process("consumer-x", (), Probe("http", target), 1)
    server.shutdown()
    server.server_close()


def test_a_ready_process_may_wait(process: Process, health: Health) -> None:
    health.missing, health.waiting = {}, {"product": "no model: type `train`"}
    assert probes.missing(process, LOCAL) is None
    assert probes.waiting(process) == "waiting: no model: type `train`"
    health.waiting = {}
    assert probes.waiting(process) is None


def test_what_is_missing_is_named(process: Process, health: Health) -> None:
    health.missing = {"redis": "away"}
    assert probes.missing(process, LOCAL) == "redis: away"
    assert probes.waiting(process) is None


def test_nobody_there_waits_for_nothing() -> None:
    gone = Process("consumer-x", (), Probe("http", "http://127.0.0.1:9/readyz"), 1)
    assert probes.waiting(gone) is None
    assert "9" in (probes.missing(gone, LOCAL) or "")
    assert probes.waiting(Process("redis", (), Probe("redis"), 1)) is None

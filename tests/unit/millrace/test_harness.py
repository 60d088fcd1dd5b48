"""The ports of the tests' stacks, on real sockets.

Asked for before any test, as `make test` does.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from config.errors import UserError
from config.settings import ROOT, Settings, settings
from millrace.stack import harness
from millrace.stack.process import Probe, Process


@pytest.fixture
def held() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch, fresh_settings: None) -> dict[int, int]:
    """The port that the stack of each offset wants.

    Of one process, so that no stack on this machine matters.
    """
    del fresh_settings
    found = {10_007: _free(), 11_007: _free()}

    def declared(loaded: Settings) -> dict[str, Process]:
        ports = {"redis": found[loaded.port_offset]}
        return {
            "redis": Process(
                name="redis", command=("true",), ready=Probe("redis"), memory=1, ports=ports
            )
        }

    monkeypatch.setattr(harness, "declared", declared)
    monkeypatch.setenv("MILLRACE_PORT_OFFSET", "7")
    return found


@pytest.mark.parametrize("offset", [10_007, 11_007], ids=["the session's stack", "the second one"])
def test_a_taken_port_is_refused_before_any_test(
    offset: int, held: int, wanted: dict[int, int]
) -> None:
    wanted[offset] = held
    with pytest.raises(
        UserError, match=rf"port {held} \(redis redis\) is taken by pid {os.getpid()} "
    ):
        harness.refuse_taken()
    assert settings().port_offset == 7


def test_free_ports_are_not_refused(held: int, wanted: dict[int, int]) -> None:
    # The stack that people use may well run meanwhile.
    wanted[7] = held
    harness.refuse_taken()


def test_an_offset_that_leaves_no_room_is_refused_and_leaves_the_environment_as_it_was(
    monkeypatch: pytest.MonkeyPatch, fresh_settings: None
) -> None:
    del fresh_settings
    monkeypatch.setenv("MILLRACE_PORT_OFFSET", "39000")
    with pytest.raises(
        UserError, match="MILLRACE_PORT_OFFSET: Input should be less than or equal to 40000"
    ):
        harness.refuse_taken()
    assert settings().port_offset == 39000


@pytest.mark.slow
def test_make_is_told_in_one_line_and_code_2(held: int) -> None:
    asked = {"MILLRACE_PORT_OFFSET": "7", "MILLRACE_REDIS_BASE_PORT": str(held - 10_007)}
    done = subprocess.run(
        (sys.executable, "-m", "millrace.stack.harness"),
        cwd=ROOT,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("the tests' stacks cannot start: port ")
    assert f"port {held} (redis redis) is taken by" in done.stderr
    assert done.stderr.count("\n") == 1


def test_make_asks_before_it_tests() -> None:
    done = subprocess.run(
        ("make", "--dry-run", "test"), cwd=ROOT, capture_output=True, text=True, check=True
    )
    steps = [
        done.stdout.find(step) for step in ("setup.sh", "-m millrace.stack.harness", "test.sh")
    ]
    assert -1 not in steps
    assert steps == sorted(steps)

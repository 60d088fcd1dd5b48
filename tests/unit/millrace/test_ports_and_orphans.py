"""Real sockets and real processes of this test.

Who holds a port, and what outlived its supervisor.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config.errors import UserError
from config.settings import Settings
from millrace.stack import orphans, ports
from millrace.stack.doctor import examine
from millrace.stack.layout import Layout
from millrace.stack.process import Probe, Process
from millrace.stack.supervisor import Supervisor


@pytest.fixture
def held() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _process(port: int) -> Process:
    return Process(
        name="redis", command=("true",), ready=Probe("redis"), memory=1, ports={"redis": port}
    )


def test_a_taken_port_names_its_holder_and_what_to_type(held: int) -> None:
    with pytest.raises(UserError) as refused:
        ports.refuse_taken([_process(held)], "127.0.0.1")
    assert f"port {held} (redis redis) is taken by pid {os.getpid()} (" in str(refused.value)
    assert f"`kill {os.getpid()}`" in str(refused.value)
    assert "MILLRACE_PORT_OFFSET" in str(refused.value)


def test_a_free_port_is_not_refused(held: int) -> None:
    del held
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    ports.refuse_taken([_process(free)], "127.0.0.1")


def test_doctor_finds_a_taken_port(held: int, tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, redis_base_port=held, port_offset=0)
    checks = {check.name: check for check in examine(settings)}
    found = checks[f"port {held}"]
    assert not found.ok
    assert f"({'redis redis'}) is taken by pid {os.getpid()}" in found.detail
    assert f"kill {os.getpid()}" in found.fix
    assert checks["java"].ok
    assert checks["stack"].detail == "not running; `millrace up` starts it"


def test_doctor_says_what_set_up_is_missing(tmp_path: Path) -> None:
    checks = {
        check.name: check
        for check in examine(Settings(state_dir=tmp_path, build_dir=tmp_path / "build"))
    }
    for name in ("kafka jars", "registry", "flink connector", "environments"):
        assert (checks[name].ok, checks[name].fix) == (False, "make setup")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen((sys.executable, "-c", "import time; time.sleep(60)")) as process:
        yield process
        process.kill()


def _mark(layout: Layout, name: str, pid: int, started: float) -> None:
    layout.run.mkdir(parents=True, exist_ok=True)
    (layout.run / f"{name}.pid").write_text(json.dumps({"pid": pid, "started": started}))


def test_an_orphan_is_found_and_stopped(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path)
    _mark(layout, "kafka", child.pid, psutil.Process(child.pid).create_time())
    assert orphans.orphans(layout, {child.pid}) == []
    found = orphans.orphans(layout, set())
    assert found == [orphans.Orphan("kafka", child.pid)]
    orphans.stop(found)
    child.wait(5)
    assert not psutil.pid_exists(child.pid)
    assert orphans.orphans(layout, set()) == []


@pytest.fixture
def zombie() -> Iterator[psutil.Process]:
    """A process that has ended and that nobody reaps, as under a container's `sleep`."""
    with subprocess.Popen(("true",)) as process:
        found = psutil.Process(process.pid)
        while found.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        yield found


def test_a_zombie_is_gone(zombie: psutil.Process) -> None:
    assert not orphans.alive(zombie)
    began = time.monotonic()
    assert orphans.wait_gone([zombie], 5) == []
    assert time.monotonic() - began < 1


def test_who_does_not_go_is_said(child: subprocess.Popen[bytes]) -> None:
    process = psutil.Process(child.pid)
    assert orphans.wait_gone([process], 0.1) == [process]


def test_a_supervisor_that_nobody_reaps_is_down(
    zombie: psutil.Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = Supervisor(Layout(tmp_path, tmp_path))
    monkeypatch.setattr(
        supervisor, "_call", lambda method: zombie.pid if method == "getPID" else None
    )
    supervisor.shutdown(timeout=0.5)


def test_another_users_stack_is_said_in_one_line(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "terminate", denied)
    with pytest.raises(
        UserError, match=f"process {child.pid} of this stack belongs to .*another user's stack"
    ):
        orphans.stop([orphans.Orphan("kafka", child.pid)])


def test_a_pid_that_was_given_to_another_is_no_orphan(
    child: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    layout = Layout(tmp_path, tmp_path)
    _mark(layout, "kafka", child.pid, psutil.Process(child.pid).create_time() - 100)
    (layout.run / "torn.pid").write_text("{")
    assert orphans.recorded(layout) == {}

"""What a process is started with: its environment, its key, its log."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import structlog

from config.errors import UserError
from config.files import write
from config.logging import configure
from config.products import groups
from config.settings import ROOT, Settings
from millrace.stack import environ, lifecycle, probes
from millrace.stack.layout import Layout
from millrace.stack.processes import processes
from millrace.stack.run import environment
from millrace.stack.supervisor import Info


def test_only_the_api_is_given_the_key(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    declared = processes(settings)
    given = environment(declared["api"], settings)
    assert given["MILLRACE_API_KEYS"] == (tmp_path / "secrets" / "api-key").read_text().strip()
    assert environment(declared["kafka"], settings).get("MILLRACE_API_KEYS") is None
    assert given["PYTHONPATH"].split(":")[0] == str(ROOT)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    key = environ.api_keys(settings)
    assert len(key) >= 32
    assert environ.api_keys(settings) == key
    assert (tmp_path / "secrets" / "api-key").stat().st_mode & 0o777 == 0o600


def test_given_keys_are_used_and_none_is_made(tmp_path: Path) -> None:
    settings = Settings.model_validate({"state_dir": tmp_path, "api_keys": "one,two"})
    assert environ.api_keys(settings) == "one,two"
    assert not (tmp_path / "secrets").exists()


def test_a_process_takes_the_settings_of_whoever_started_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path, tmp_path)
    # What `adopt` sets must be gone after the test.
    for name in ("GROUPS", "PRODUCTS_PATH"):
        monkeypatch.setenv(f"MILLRACE_{name}", "")
    monkeypatch.setenv("MILLRACE_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("OTHER", "no setting")
    environ.keep(layout, ["kafka", "api"], Settings())
    kept = environ.file(layout, "api")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "no setting" not in kept.read_text()
    monkeypatch.setenv("MILLRACE_LOG_LEVEL", "ERROR")
    monkeypatch.setenv("MILLRACE_KAFKA_HEAP", "1g")  # of the first `up`, and gone since
    environ.adopt(kept)
    assert os.environ["MILLRACE_LOG_LEVEL"] == "DEBUG"
    assert "MILLRACE_KAFKA_HEAP" not in os.environ
    assert os.environ["OTHER"] == "no setting"


def test_without_settings_of_its_own_a_process_keeps_what_it_inherits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_LOG_LEVEL", "ERROR")
    environ.adopt(tmp_path / "none")
    assert os.environ["MILLRACE_LOG_LEVEL"] == "ERROR"


def _run(tmp_path: Path, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    line = (sys.executable, "-m", "millrace.stack.run", *arguments)
    env = {**os.environ, "MILLRACE_STATE_DIR": str(tmp_path), **given}
    return subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_process_is_started_with_the_settings_kept_for_it(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text(
        json.dumps({"MILLRACE_STATE_DIR": str(tmp_path), "MILLRACE_LOG_LEVEL": "loud"})
    )
    done = _run(tmp_path, "redis", str(tmp_path / "kept"), MILLRACE_LOG_LEVEL="INFO")
    assert done.returncode == 2
    assert done.stderr.startswith("MILLRACE_LOG_LEVEL: Input should be 'DEBUG'")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"MILLRACE_PORT_OFFSET": "x"}, "MILLRACE_PORT_OFFSET: Input should be a valid integer"),
        ({"PATH": ""}, "redis-server: No such file"),
    ],
)
def test_what_cannot_be_started_says_so_in_one_line(
    tmp_path: Path, given: dict[str, str], words: str
) -> None:
    done = _run(tmp_path, "redis", **given)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


class FakeSupervisor:
    """Knows two processes: one runs, one waits to be started again."""

    def __init__(self, _layout: Layout) -> None:
        self._info = {
            "redis": Info("redis", "RUNNING", 1, 0.0, 0),
            "kafka": Info("kafka", "BACKOFF", 0, 0.0, 0),
        }

    def info(self) -> dict[str, Info]:
        return self._info

    def start(self, _declared: object) -> None: ...

    def start_process(self, _name: str) -> None: ...


def test_up_leaves_its_settings_to_what_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "Supervisor", FakeSupervisor)
    monkeypatch.setattr(lifecycle, "missing", lambda *_: None)
    settings = Settings(state_dir=tmp_path, port_offset=21_000)
    lifecycle.up(settings, lambda _: None, ("redis", "kafka", "registry"))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "kafka.environment",
        "registry.environment",
        "stack.json",
    ]


class Failing(FakeSupervisor):
    """Topics fail twice, then go through; what was stopped runs no more."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        self._info = dict.fromkeys(("kafka", "registry"), Info("any", "RUNNING", 1, 0.0, 0))
        self.codes = [1, 1, 0]

    def start_process(self, name: str) -> None:
        code = self.codes.pop(0) if name == "topics" else 0
        self._info[name] = Info(name, "EXITED" if name == "topics" else "RUNNING", 0, 0.0, code)


@pytest.mark.slow
def test_what_runs_once_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "Supervisor", Failing)
    monkeypatch.setattr(probes, "missing", lambda *_: None)
    said: list[str] = []
    lifecycle.up(Settings(state_dir=tmp_path, port_offset=21_000), said.append, ("topics",))
    assert said[:2] == [
        "topics exited with 1: retrying (2 of 3)",
        "topics exited with 1: retrying (3 of 3)",
    ]
    assert said[2].startswith("topics ready after")


@pytest.mark.slow
def test_what_runs_once_is_not_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Failing):
        def __init__(self, layout: Layout) -> None:
            super().__init__(layout)
            self.codes = [1] * lifecycle.ONESHOT_TRIES

    monkeypatch.setattr(lifecycle, "Supervisor", Broken)
    monkeypatch.setattr(probes, "missing", lambda *_: None)
    settings = Settings(state_dir=tmp_path, port_offset=21_000)
    with pytest.raises(UserError, match="topics: exited with 1, 3 times"):
        lifecycle.up(settings, lambda _: None, ("topics",), timeout=1)


def test_every_command_sees_the_groups_that_up_was_given_until_down(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path)
    asks = Settings(state_dir=tmp_path, groups="core,shop")
    assert environ.widen(layout, asks) == asks
    environ.keep_stack(layout, asks.model_copy(update={"groups": "core,fraud,airflow"}))
    assert groups(environ.widen(layout, asks)) == {"core", "shop", "fraud", "airflow"}
    # Of a product that this shell knows nothing of, and of one that is gone.
    write(tmp_path / "parcels" / "product.yaml", "{name: parcels, group: parcels}")
    path = f"{tmp_path / 'parcels'}:{tmp_path / 'gone'}"
    kept = {"groups": ["core", "parcels", "gone"], "products_path": path}
    write(tmp_path / "run" / "stack.json", json.dumps(kept))
    wider = environ.widen(layout, asks)
    assert groups(wider) == {"core", "shop", "parcels"}
    assert wider.products_path == str(tmp_path / "parcels")
    environ.forget_stack(layout)
    assert environ.widen(layout, asks) == asks


class Growing(FakeSupervisor):
    """A stack that runs; notes what is stopped and started."""

    calls: ClassVar[list[str]] = []

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout)
        runs = ("kafka", "registry", "redis", "jobmanager", "taskmanager", "jobs", "api")
        self._info = {name: Info(name, "RUNNING", 1, 0.0, 0) for name in runs}

    def start_process(self, name: str) -> None:
        if name not in self._info:
            self.calls.append(f"+{name}")

    def stop_process(self, name: str) -> None:
        self.calls.append(f"-{name}")
        del self._info[name]


@pytest.mark.slow
def test_what_serves_a_group_starts_anew_when_the_group_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "Supervisor", Growing)
    monkeypatch.setattr(lifecycle, "missing", lambda *_: None)
    before = Settings(state_dir=tmp_path, port_offset=21_000, groups="core,shop")
    layout = Layout.of(before)
    environ.keep(layout, ("jobs", "api", "taskmanager"), before)
    environ.keep_stack(layout, before)
    Growing.calls.clear()
    lifecycle.up(before, lambda _: None)
    assert Growing.calls == ["+topics", "+consumer-business", "+consumer-recommender"]
    Growing.calls.clear()
    said: list[str] = []
    lifecycle.up(before.model_copy(update={"groups": "core,fraud"}), said.append)
    assert said[0] == "restarting for more groups: jobs, api"
    assert sorted(Growing.calls[:2]) == ["-api", "-jobs"]
    assert {"+jobs", "+api", "+consumer-fraud", "+consumer-business"} <= set(Growing.calls)
    kept = json.loads(environ.file(layout, "jobs").read_text())
    assert kept["MILLRACE_GROUPS"] == "core,fraud,shop"


def test_up_refuses_a_folder_that_the_parts_cannot_carry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "Supervisor", FakeSupervisor)
    monkeypatch.setattr(lifecycle, "missing", lambda *_: None)
    with pytest.raises(UserError, match="cannot carry ',' in a path"):
        lifecycle.up(Settings(state_dir=tmp_path / "a,b"), lambda _: None)
    assert not (tmp_path / "a,b").exists()


def test_logs_are_one_json_object_a_line_from_both_loggers(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = structlog.get_config()
    try:
        configure("test", Settings(log_level="INFO", log_json=True))
        structlog.get_logger().info("hello", answer=42)
        structlog.get_logger().debug("unheard")
        logging.getLogger("library").warning("watch %s", "out")
    finally:
        structlog.configure(**before)
        structlog.contextvars.clear_contextvars()
        root.handlers[:], root.level = handlers, level
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["event"], first["answer"], first["process"], first["level"]) == (
        "hello",
        42,
        "test",
        "info",
    )
    assert (second["event"], second["level"], second["process"]) == ("watch out", "warning", "test")

"""Submission and keeping of jobs, without a cluster: REST answers are given."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from config.errors import RetryableError, UserError
from config.files import write
from config.settings import Settings
from millrace.flink import jobs
from millrace.flink import rest as cluster
from millrace.flink.keeper import Keeper, Kept, serve
from millrace.stack.layout import Layout
from millrace.stack.parts import flink


@pytest.fixture
def local(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


def _complete(folder: Path, age: float) -> Path:
    write(folder / "_metadata", "")
    os.utime(folder / "_metadata", (1_000_000 - age, 1_000_000 - age))
    return folder


def test_the_newest_complete_checkpoint_or_savepoint_is_resumed(local: Settings) -> None:
    layout = Layout.of(local)
    assert jobs.latest(local, "j") is None
    _complete(layout.checkpoints / "j" / "one" / "chk-9", age=30)
    savepoint = _complete(layout.savepoints / "j" / "savepoint-1", age=20)
    assert jobs.latest(local, "j") == savepoint
    checkpoint = _complete(layout.checkpoints / "j" / "two" / "chk-1", age=10)
    (layout.checkpoints / "j" / "two" / "chk-2").mkdir()
    _complete(layout.checkpoints / "other" / "one" / "chk-1", age=0)
    assert jobs.latest(local, "j") == checkpoint


def test_checkpoints_are_claimed_and_savepoints_are_not(local: Settings) -> None:
    layout = Layout.of(local)
    claimed = jobs.command(
        local, "fraud_features", layout.checkpoints / "fraud_features" / "a" / "chk-1"
    )
    kept = jobs.command(
        local, "fraud_features", layout.savepoints / "fraud_features" / "savepoint-1"
    )
    fresh = jobs.command(local, "fraud_features", None)
    assert claimed[claimed.index("--claimMode") + 1] == "CLAIM"
    assert kept[kept.index("--claimMode") + 1] == "NO_CLAIM"
    assert "--fromSavepoint" not in fresh
    assert fresh[-1].endswith("processing/jobs/fraud_features.py")


@pytest.mark.parametrize("name", ["nothing", "../jobs/fraud_features", "", "__init__"])
def test_only_what_a_product_declares_is_a_job(name: str) -> None:
    with pytest.raises(UserError, match="no job named"):
        jobs.declared(Settings(), name)


def test_the_reason_is_the_innermost_cause() -> None:
    assert jobs.reason("a\nCaused by: first\n\tat x\nCaused by: second\nend") == "Caused by: second"
    assert jobs.reason("Traceback\nValueError: no\n") == "ValueError: no"
    assert jobs.reason("") == "it printed nothing"


def _overview(state: str, running: int = 2) -> list[dict[str, Any]]:
    return [
        {
            "jid": "f" * 32,
            "name": "j",
            "state": state,
            "start-time": 1,
            "tasks": {"total": 2, "running": running},
        }
    ]


def _keeper(
    local: Settings, monkeypatch: pytest.MonkeyPatch, found: list[dict[str, Any]]
) -> tuple[Keeper, list[Any]]:
    submitted: list[Any] = []

    def submit(_settings: Settings, job: str, resume: Path | None) -> str:
        submitted.append((job, resume))
        return "f" * 32

    monkeypatch.setattr(cluster, "overview", lambda _settings: found)
    monkeypatch.setattr(jobs, "submit", submit)
    return Keeper(local, ("j",)), submitted


def test_a_running_job_is_left_alone(local: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, submitted = _keeper(local, monkeypatch, _overview("RUNNING"))
    keeper.ensure(keeper.kept[0])
    assert (submitted, keeper.health()) == ([], {})


def test_a_job_that_restarts_is_unhealthy_but_not_submitted(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, submitted = _keeper(local, monkeypatch, _overview("RESTARTING", 0))
    keeper.ensure(keeper.kept[0])
    assert (submitted, keeper.health()) == ([], {"j": "RESTARTING, 0 of 2 tasks run"})


@pytest.mark.parametrize("found", [[], _overview("FAILED", 0), _overview("CANCELED", 0)])
def test_a_job_that_is_gone_is_resumed(
    local: Settings, monkeypatch: pytest.MonkeyPatch, found: list[dict[str, Any]]
) -> None:
    checkpoint = _complete(Layout.of(local).checkpoints / "j" / "one" / "chk-9", age=0)
    keeper, submitted = _keeper(local, monkeypatch, found)
    keeper.ensure(keeper.kept[0])
    keeper.ensure(keeper.kept[0])  # accepted just now: it is given time to appear
    assert submitted == [("j", checkpoint)]


def test_a_job_stopped_on_purpose_stays_stopped(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(Layout.of(local).jobs / "j.stopped", "")
    keeper, submitted = _keeper(local, monkeypatch, [])
    keeper.ensure(keeper.kept[0])
    assert (submitted, keeper.health()) == ([], {})


def test_a_refused_job_is_told_and_tried_later(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, _ = _keeper(local, monkeypatch, [])

    def refuse(*_arguments: object) -> str:
        raise UserError("flink run refused j: no such column")

    monkeypatch.setattr(jobs, "submit", refuse)
    kept = keeper.kept[0]
    keeper.ensure(kept)
    assert kept.problem == "flink run refused j: no such column (tried 1 times)"
    assert kept.not_before > 0
    before = kept.failures
    keeper.ensure(kept)
    assert kept.failures == before


def test_a_file_that_fails_is_a_failed_submission(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, _ = _keeper(local, monkeypatch, [])

    def full(*_arguments: object) -> str:
        raise OSError(28, "No space left on device", "/state/flink/conf/config.yaml")

    monkeypatch.setattr(jobs, "submit", full)
    keeper.ensure(keeper.kept[0])
    assert keeper.health() == {
        "j": "/state/flink/conf/config.yaml: No space left on device (tried 1 times)"
    }
    assert keeper.kept[0].not_before > 0


def test_a_submission_that_takes_too_long_is_refused_in_one_line(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: object, **options: Any) -> None:
        raise subprocess.TimeoutExpired("flink run", options["timeout"])

    monkeypatch.setattr(cluster, "overview", lambda _settings: [])
    monkeypatch.setattr(flink, "prepare", lambda *_: None)
    monkeypatch.setattr(subprocess, "run", slow)
    with pytest.raises(UserError, match="flink run fraud_features has not ended after 180 s"):
        jobs.submit(local, "fraud_features", None)


def _metrics(keeper: Keeper) -> dict[str, float]:
    lines = [line for line in keeper.metrics().decode().splitlines() if not line.startswith("#")]
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines)
        if "_created" not in name
    }


def test_the_keeper_counts_what_it_submits(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, _ = _keeper(local, monkeypatch, [])
    names = ("job_submissions_total", "job_submission_failures_total", "job_not_running")
    submissions, failures, not_running = (f'millrace_{name}{{job="j"}}' for name in names)
    assert _metrics(keeper) == {submissions: 0, failures: 0, not_running: 1}
    keeper.ensure(keeper.kept[0])
    assert _metrics(keeper) == {submissions: 1, failures: 0, not_running: 1}
    monkeypatch.setattr(cluster, "overview", lambda _settings: _overview("RUNNING"))
    keeper.ensure(keeper.kept[0])
    assert _metrics(keeper) == {submissions: 1, failures: 0, not_running: 0}

    def refuse(*_arguments: object) -> str:
        raise UserError("no")

    monkeypatch.setattr(jobs, "submit", refuse)
    monkeypatch.setattr(cluster, "overview", lambda _settings: [])
    keeper.kept[0].not_before = 0
    keeper.ensure(keeper.kept[0])
    assert _metrics(keeper) == {submissions: 1, failures: 1, not_running: 1}


def test_a_cluster_that_is_away_is_the_problem_told(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, submitted = _keeper(local, monkeypatch, [])

    def away(_settings: Settings) -> list[dict[str, Any]]:
        raise RetryableError("JobManager is away")

    monkeypatch.setattr(cluster, "overview", away)
    keeper.ensure(keeper.kept[0])
    assert (submitted, keeper.health()) == ([], {"j": "JobManager is away"})


def test_the_health_page_is_503_with_the_problems_until_all_run(local: Settings) -> None:
    keeper = Keeper(local, ("j",))
    server = serve(keeper, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.server_port}/healthz"
    try:
        with pytest.raises(urllib.error.HTTPError) as degraded, urllib.request.urlopen(url):
            pass
        assert degraded.value.code == 503
        assert json.loads(degraded.value.read())["problems"] == {"j": "not looked at yet"}
        degraded.value.close()
        keeper.kept[0] = Kept("j", problem=None)
        with urllib.request.urlopen(url) as fine:
            assert json.loads(fine.read()) == {"status": "ok", "problems": {}}
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as metrics:
            assert b'millrace_job_not_running{job="j"} 0.0' in metrics.read()
        with (
            pytest.raises(urllib.error.HTTPError, match="404") as unknown,
            urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/x"),
        ):
            pass
        unknown.value.close()
    finally:
        server.shutdown()
        server.server_close()


def test_a_rebuilt_kernel_is_another_folder_and_the_old_jar_stays(tmp_path: Path) -> None:
    layout = Layout(state=tmp_path / "state", build=tmp_path / "build", root=tmp_path)
    for jar in (
        layout.flink_home / "lib" / "flink-dist.jar",
        layout.flink_jars / "connector.jar",
        layout.kernel_jar,
    ):
        write(jar, jar.name)
    first = flink.assemble(layout)
    assert flink.assemble(layout) == first
    names = {path.name for path in first.iterdir()}
    assert {"flink-dist.jar", "connector.jar"} < names
    (kernel,) = names - {"flink-dist.jar", "connector.jar"}
    write(layout.kernel_jar, "rebuilt")
    second = flink.assemble(layout)
    assert second != first
    assert (first / kernel).read_text() == "millrace-kernel.jar"
    flink.link_lib(layout, first)
    flink.link_lib(layout, second)
    assert layout.flink_lib.resolve() == second


def test_missing_jars_are_said_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make setup"):
        flink.assemble(Layout(state=tmp_path, build=tmp_path, root=tmp_path))

"""The local stack on real processes.

What dies comes back, what was stored stays, what is wrong is said.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis

from config.settings import ROOT, Settings
from config.topics import topics
from ingestion.wire.registry import Registry
from millrace.flink import jobs
from millrace.flink import rest as cluster
from millrace.stack import orphans
from millrace.stack.harness import SECOND_OFFSET, Stack, shifted
from millrace.stack.orphans import alive
from millrace.stack.processes import processes
from millrace.stack.supervisor import Supervisor

JOB = "business_metrics"


def _ids(stack: Settings) -> dict[str, int]:
    with Registry(stack.registry_url) as registry:
        return {topic.subject: registry.version(topic.subject)[0] for topic in topics().values()}


def _job(stack: Settings) -> cluster.Job:
    return next(job for job in cluster.listing(stack) if job.name == JOB)


def _runs(stack: Settings) -> bool:
    return any(job.name == JOB and job.running for job in cluster.listing(stack))


def _restored(stack: Settings) -> Path:
    found = cluster.rest(stack, f"/jobs/{_job(stack).id}/checkpoints")["latest"]["restored"][
        "external_path"
    ]
    return Path(found.removeprefix("file:"))


def test_status_tells_every_process_and_job(harness: Stack) -> None:
    found = json.loads(harness.cli("status", "--json"))
    assert found["running"]
    assert {one["name"] for one in found["processes"] if not one["ready"]} == set()
    kafka = next(one for one in found["processes"] if one["name"] == "kafka")
    assert alive(psutil.Process(kafka["pid"]))
    assert kafka["ports"]["broker"] == harness.settings.port("kafka")
    names = ("fraud_features", JOB, "recommendations")
    # Another test may have submitted one, and stopped it again.
    states = {job["name"]: job["state"] for job in found["jobs"] if job["state"] != "FINISHED"}
    assert states == dict.fromkeys(names, "RUNNING")


def test_doctor_finds_nothing_wrong_with_a_healthy_stack(harness: Stack) -> None:
    harness.wait(lambda: _runs(harness.settings), "the job to run")
    checks = {check["name"]: check for check in json.loads(harness.cli("doctor", "--json"))}
    assert [check for check in checks.values() if not check["ok"]] == []
    assert {name for name, check in checks.items() if check["detail"] == "ready"} == set(
        processes(harness.settings)
    )
    for job in ("fraud_features", JOB, "recommendations"):
        assert checks[f"job {job}"]["detail"].startswith("running, ")


def test_a_killed_registry_comes_back_with_the_same_ids(harness: Stack, stack: Settings) -> None:
    before = _ids(stack)
    harness.killed_and_back("registry")
    assert _ids(stack) == before
    assert len(before) == len(topics())


def test_a_killed_redis_comes_back_with_what_it_stored(harness: Stack, stack: Settings) -> None:
    with Redis.from_url(stack.redis_url) as client:
        client.set("test:stack", "kept")
        _synced(client)
    harness.killed_and_back("redis")
    with Redis.from_url(stack.redis_url) as client:
        assert client.get("test:stack") == b"kept"
        client.delete("test:stack")


def _synced(client: Redis) -> None:
    """Redis 7.0 cannot be asked to wait for the disk: rewriting the file ends with a sync."""
    client.bgrewriteaof()
    while (
        client.info("persistence")["aof_rewrite_in_progress"]
        or client.info("persistence")["aof_rewrite_scheduled"]
    ):
        pass


def test_a_restarted_process_is_another_one_and_ready(harness: Stack) -> None:
    def pid() -> int:
        found = json.loads(harness.cli("status", "--json"))["processes"]
        return next(int(one["pid"]) for one in found if one["name"] == "consumer-fraud")

    before = pid()
    assert "consumer-fraud ready" in harness.cli("restart", "consumer-fraud")
    assert pid() != before


def test_jobs_come_back_from_their_checkpoints_after_the_jobmanager(
    harness: Stack, stack: Settings
) -> None:
    harness.wait(lambda: _runs(stack) and _job(stack).checkpoints > 0, "a checkpoint")
    before = _job(stack).id
    harness.kill("jobmanager")
    harness.wait(lambda: _runs(stack) and _job(stack).id != before, "the job to be resubmitted")
    assert _restored(stack).is_relative_to(harness.layout.checkpoints / JOB)
    harness.wait_ready("jobs")


def test_a_job_stops_with_a_savepoint_stays_stopped_and_resumes(
    harness: Stack, stack: Settings
) -> None:
    savepoint = Path(json.loads(harness.cli("jobs", "stop", JOB, "--json"))["savepoint"])
    assert (savepoint / "_metadata").exists()
    assert jobs.living(stack, JOB) is None
    # The keeper finds nothing wrong with a job that was stopped on purpose.
    harness.wait_ready("jobs")
    assert jobs.stopped_on_purpose(stack, JOB)
    submitted = json.loads(harness.cli("jobs", "submit", JOB, "--json"))
    harness.wait(lambda: _runs(stack), "the job to run")
    assert submitted == {"name": JOB, "id": _job(stack).id, "resumed_from": str(savepoint)}
    assert _restored(stack) == savepoint


def test_a_job_that_runs_is_not_submitted_twice(harness: Stack, stack: Settings) -> None:
    harness.wait(lambda: _runs(stack), "the job to run")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        harness.cli("jobs", "submit", JOB)
    assert refused.value.returncode == 2
    assert "is already running" in refused.value.stderr


@pytest.fixture
def small(tmp_path: Path, stack: Settings) -> Iterator[Stack]:
    """A second stack beside the session's, for what would hurt that one."""
    with shifted(tmp_path / "state", offset=SECOND_OFFSET) as second:
        yield second


def test_what_outlives_a_killed_supervisor_is_found_and_taken_over(small: Stack) -> None:
    small.up("redis")
    old = psutil.Process(small.info("redis").pid)
    daemon = psutil.Process(int((small.layout.run / "supervisord.pid").read_text()))
    daemon.kill()
    small.wait(lambda: not alive(daemon), "supervisord to be gone")
    assert orphans.orphans(small.layout, set()) == [orphans.Orphan("redis", old.pid)]
    checks = {check["name"]: check for check in json.loads(_doctor(small).stdout)}
    assert checks["orphans"] == {
        "name": "orphans",
        "ok": False,
        "detail": f"running without their Supervisor: redis (pid {old.pid})",
        "fix": "millrace down",
    }
    small.up("redis")
    assert small.info("redis").pid != old.pid
    assert not alive(old)
    small.down()
    assert Supervisor(small.layout).info() == {}
    assert orphans.recorded(small.layout) == {}


def _doctor(_small: Stack) -> subprocess.CompletedProcess[str]:
    line = (sys.executable, "-m", "millrace.cli.main", "doctor", "--json")
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_what_was_stopped_is_missed_and_what_was_never_started_is_not(small: Stack) -> None:
    small.up("redis")
    healthy = _doctor(small)
    assert healthy.returncode == 0
    details = {check["name"]: check["detail"] for check in json.loads(healthy.stdout)}
    assert details["redis"] == "ready"
    assert details["api"] == "not started: `up --only` left it out"
    small.stop("redis")
    found = _doctor(small)
    assert found.returncode == 1
    assert [check for check in json.loads(found.stdout) if not check["ok"]] == [
        {
            "name": "redis",
            "ok": False,
            "detail": "stopped while others run",
            "fix": "millrace up --only redis",
        }
    ]


def test_a_taken_port_is_refused_with_who_holds_it(small: Stack, stack: Settings) -> None:
    del stack
    small.up("redis")
    with shifted(small.layout.state.with_name("third"), offset=0):
        line = (sys.executable, "-m", "millrace.cli.main", "up", "--only", "redis")
        done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    pid = small.info("redis").pid
    assert (
        f"port {small.settings.port('redis')} (redis redis) is taken by pid {pid} (redis-server"
        in done.stderr
    )
    assert "MILLRACE_PORT_OFFSET" in done.stderr

"""What `doctor` finds in a stack that runs.

Supervisor, the probes and the cluster answer as given.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from config.errors import RetryableError
from config.files import write
from config.settings import Settings
from millrace.flink import rest as cluster
from millrace.stack import doctor, probes
from millrace.stack.doctor import Check
from millrace.stack.layout import Layout
from millrace.stack.process import Process
from millrace.stack.processes import processes
from millrace.stack.supervisor import Info, Supervisor

NOW_MS = 10_000_000
JOB, OTHER = "fraud_features", "business_metrics"


class World:
    """A healthy stack, for a test to break.

    What Supervisor, the probes and Flink's REST interface say.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.info = {
            name: Info(
                name,
                *(("EXITED", 0) if one.oneshot else ("RUNNING", 99)),
                started=1.0,
                exit_status=0,
            )
            for name, one in processes(settings).items()
        }
        self.unready: dict[str, str] = {}
        self.waiting: dict[str, str] = {}
        self.away = False
        self.jobs = {JOB: self.job(JOB), OTHER: self.job(OTHER)}
        self.checkpoints = {JOB: _checkpoints(age_s=3), OTHER: _checkpoints(age_s=3)}

    def job(
        self, name: str, state: str = "RUNNING", running: int = 2, age_s: int = 100
    ) -> dict[str, Any]:
        tasks = {"total": 2, "running": running}
        return {
            "jid": name,
            "name": name,
            "state": state,
            "start-time": NOW_MS - age_s * 1000,
            "tasks": tasks,
        }

    def rest(self, _settings: Settings, path: str) -> Any:
        if self.away:
            raise RetryableError("JobManager is away")
        if path == "/jobs/overview":
            return {"jobs": list(self.jobs.values())}
        _, name, *rest = path.strip("/").split("/")
        return {"": {"now": NOW_MS}, "checkpoints": self.checkpoints[name]}.get("".join(rest), [])

    def probe(self, process: Process, _settings: Settings) -> str | None:
        return self.unready.get(process.name)

    def checks(self) -> dict[str, Check]:
        parts = {*self.info, f"job {JOB}", f"job {OTHER}", "jobs of the cluster"}
        return {one.name: one for one in doctor.examine(self.settings) if one.name in parts}

    def wrong(self) -> list[Check]:
        return [one for one in self.checks().values() if not one.ok]


def _checkpoints(age_s: int | None, failed: int = 0) -> dict[str, Any]:
    completed = (
        None
        if age_s is None
        else {"latest_ack_timestamp": NOW_MS - age_s * 1000, "external_path": "file:/c"}
    )
    return {
        "counts": {"completed": int(age_s is not None), "failed": failed},
        "latest": {"completed": completed},
    }


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(Settings(state_dir=tmp_path, flink_checkpoint_interval_ms=60_000))
    # The tools take a JVM to look at; other tests cover them.
    monkeypatch.setattr(doctor, "_tools", lambda _: [])
    monkeypatch.setattr(Supervisor, "info", lambda _: made.info)
    monkeypatch.setattr(probes, "missing", made.probe)
    monkeypatch.setattr(probes, "waiting", lambda process: made.waiting.get(process.name))
    monkeypatch.setattr(cluster, "rest", made.rest)
    return made


def test_a_healthy_stack_has_every_process_and_job_checked(world: World) -> None:
    assert world.checks().keys() == {*processes(world.settings), f"job {JOB}", f"job {OTHER}"}
    assert world.wrong() == []
    assert world.checks()["redis"].detail == "ready"
    assert world.checks()[f"job {JOB}"].detail == "running, last checkpoint 3 s ago"


@pytest.mark.parametrize(
    ("stamps", "ok"),
    [
        (("venv-flink", "venv-test-lake"), True),
        (("venv-flink", "venv-demo"), True),
        (("venv-flink", "venv-demo-lake"), True),
        (("venv-flink",), False),
        (("venv-test-lake",), False),
    ],
)
def test_environments_are_those_set_up_for_whichever_purpose(
    tmp_path: Path, stamps: tuple[str, ...], ok: bool
) -> None:
    for name in ("uv.lock", "pyproject.toml"):
        (tmp_path / name).write_text(name)
    identity = hashlib.sha256(b"uv.lockpyproject.toml").hexdigest()[:16]
    layout = replace(Layout.of(Settings(state_dir=tmp_path)), root=tmp_path, build=tmp_path)
    (tmp_path / "stamps").mkdir()
    (tmp_path / "stamps" / "venv-demo-old").write_text("another\n")
    for name in stamps:
        (tmp_path / "stamps" / name).write_text(identity + "\n")
    assert doctor._locked(layout).ok is ok


def test_a_consumer_that_does_not_answer_is_found(world: World) -> None:
    world.unready["consumer-fraud"] = "redis: away"
    assert world.wrong() == [
        Check(
            "consumer-fraud",
            False,
            "redis: away",
            "millrace logs consumer-fraud",
        )
    ]


@pytest.mark.parametrize(
    ("told", "fix"),
    [
        ("waiting: no model: type `millrace train fraud`", "millrace train fraud"),
        ("waiting: for somebody", "millrace logs consumer-fraud"),
    ],
)
def test_a_consumer_that_waits_for_a_person_is_found_with_the_command(
    world: World, told: str, fix: str
) -> None:
    world.waiting["consumer-fraud"] = told
    assert world.wrong() == [Check("consumer-fraud", False, told, fix)]


@pytest.mark.parametrize("state", ["BACKOFF", "FATAL", "EXITED", "STARTING"])
def test_a_consumer_that_is_dead_is_found(world: World, state: str) -> None:
    world.info["consumer-fraud"] = replace(world.info["consumer-fraud"], state=state, pid=0)
    assert world.wrong() == [Check("consumer-fraud", False, state, "millrace logs consumer-fraud")]


@pytest.mark.slow
def test_what_was_left_out_is_no_finding_but_what_was_stopped_is(world: World) -> None:
    idle = replace(world.info["api"], state="STOPPED", pid=0)
    world.info["api"] = replace(idle, started=0.0)
    assert world.wrong() == []
    assert world.checks()["api"].detail == "not started: `up --only` left it out"
    world.info["api"] = idle
    assert world.wrong() == [
        Check("api", False, "stopped while others run", "millrace up --only api")
    ]


def test_a_one_off_that_failed_is_found(world: World) -> None:
    world.info["topics"] = replace(world.info["topics"], exit_status=2)
    assert world.wrong() == [Check("topics", False, "exited with 2", "millrace logs topics")]


def test_jobs_are_nobody_s_duty_without_their_keeper(world: World) -> None:
    world.jobs.clear()
    world.info["jobs"] = replace(world.info["jobs"], state="STOPPED", pid=0, started=0.0)
    assert world.wrong() == []


def test_a_cluster_that_is_away_is_one_finding(world: World) -> None:
    world.away = True
    assert world.wrong() == [
        Check("jobs of the cluster", False, "JobManager is away", "millrace logs jobmanager"),
    ]


def test_a_job_that_is_not_submitted_is_found(world: World) -> None:
    del world.jobs[JOB]
    assert world.wrong() == [Check(f"job {JOB}", False, "not submitted", "millrace logs jobs")]


def test_a_job_that_was_stopped_on_purpose_is_no_finding(world: World) -> None:
    world.jobs[JOB] = world.job(JOB, "FINISHED", running=0)
    write(Layout.of(world.settings).jobs / f"{JOB}.stopped", "")
    assert world.wrong() == []
    assert (
        "stopped on purpose; `millrace jobs submit fraud_features`"
        in world.checks()[f"job {JOB}"].detail
    )


@pytest.mark.parametrize(
    ("state", "running"),
    [("RESTARTING", 0), ("FAILED", 0), ("RUNNING", 1)],
    ids=["restarting", "failed", "partly"],
)
def test_a_job_that_does_not_run_whole_is_found(world: World, state: str, running: int) -> None:
    world.jobs[JOB] = world.job(JOB, state, running)
    assert world.wrong() == [
        Check(f"job {JOB}", False, f"{state}, {running} of 2 tasks run", "millrace logs jobs"),
    ]


@pytest.mark.parametrize(("age_s", "late"), [(1200, False), (1201, True)])
def test_a_checkpoint_is_late_after_twenty_intervals(world: World, age_s: int, late: bool) -> None:
    world.checkpoints[JOB] = _checkpoints(age_s, failed=4)
    found = Check(
        f"job {JOB}",
        False,
        f"running, last checkpoint {age_s} s ago, 4 failed",
        "millrace logs taskmanager",
    )
    assert world.wrong() == ([found] if late else [])


@pytest.mark.parametrize(("age_s", "late"), [(1200, False), (1201, True)])
def test_a_first_checkpoint_that_never_comes_is_late_too(
    world: World, age_s: int, late: bool
) -> None:
    world.jobs[JOB] = world.job(JOB, age_s=age_s)
    world.checkpoints[JOB] = _checkpoints(None, failed=9)
    found = Check(
        f"job {JOB}",
        False,
        f"running, no checkpoint since its start {age_s} s ago, 9 failed",
        "millrace logs taskmanager",
    )
    assert world.wrong() == ([found] if late else [])


def test_the_groups_that_are_on_are_told(world: World) -> None:
    (told,) = (one for one in doctor.examine(world.settings) if one.name == "groups")
    assert told.detail == (
        "on: core, fraud, shop; "
        "off: inventory, orders, sensors, sensor_context, anomalies, lake, airflow, monitoring, "
        "postgres"
    )

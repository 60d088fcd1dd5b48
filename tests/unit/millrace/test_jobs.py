"""Submission and keeping of jobs, without a cluster: REST answers are given."""

from __future__ import annotations

import json
import os
import sys
import types
import urllib.request
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config import products
from config.errors import RetryableError, UserError
from config.files import write
from config.health import serve
from config.settings import Settings
from millrace.flink import client as client_process
from millrace.flink import jobs, lineage, submission
from millrace.flink import rest as cluster
from millrace.flink.client import Client
from millrace.flink.keeper import Keeper, Kept
from millrace.flink.submission import Wanted
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
    assert lineage.latest(local, "j") is None
    _complete(layout.checkpoints / "j" / "one" / "chk-9", age=30)
    savepoint = _complete(layout.savepoints / "j" / "savepoint-1", age=20)
    assert lineage.latest(local, "j") == savepoint
    checkpoint = _complete(layout.checkpoints / "j" / "two" / "chk-1", age=10)
    (layout.checkpoints / "j" / "two" / "chk-2").mkdir()
    _complete(layout.checkpoints / "other" / "one" / "chk-1", age=0)
    assert lineage.latest(local, "j") == checkpoint


def test_a_rollback_stays_on_its_line(local: Settings) -> None:
    layout = Layout.of(local)
    old = _complete(layout.savepoints / "j" / "savepoint-aaaaaa-1", age=90)
    _complete(layout.checkpoints / "j" / ("a" * 32) / "chk-9", age=0)
    line = lineage.begin(local, "j", old)
    assert lineage.latest(local, "j") == old, "it has made nothing yet: the JobManager died"
    own = _complete(layout.checkpoints / "j" / line.job_id / "chk-1", age=50)
    assert lineage.latest(local, "j") == own, "not the newer one of the line that was left"
    savepoint = _complete(layout.savepoints / "j" / f"savepoint-{line.job_id[:6]}-2", age=40)
    assert lineage.latest(local, "j") == savepoint
    assert lineage.latest(local, "other") is None


def test_state_left_behind_is_left_again_until_the_job_has_its_own(local: Settings) -> None:
    layout = Layout.of(local)
    given = _complete(layout.savepoints / "fraud_features-history" / "savepoint-bbbbbb-1", age=9)
    line = lineage.begin(local, "fraud_features", given, drops_state=True)
    assert submission.again(local, "fraud_features") == Wanted("fraud_features", given, True)
    own = _complete(layout.checkpoints / "fraud_features" / line.job_id / "chk-1", age=0)
    assert submission.again(local, "fraud_features") == Wanted("fraud_features", own, False)


def test_a_job_begun_without_state_stays_without(local: Settings) -> None:
    _complete(Layout.of(local).checkpoints / "j" / ("a" * 32) / "chk-9", age=0)
    lineage.begin(local, "j", None)
    assert lineage.latest(local, "j") is None


def test_a_refused_submission_is_no_line(local: Settings) -> None:
    first = lineage.begin(local, "j", None)
    lineage.begin(local, "j", Layout.of(local).savepoints / "j" / "savepoint-1")
    lineage.put_back(local, "j", first)
    assert lineage.current(local, "j") == first
    lineage.put_back(local, "j", None)
    assert lineage.current(local, "j") is None


def test_checkpoints_are_claimed_and_savepoints_are_not(local: Settings) -> None:
    layout, line = Layout.of(local), lineage.Line("f" * 32, None)
    mode, path = "execution.state-recovery.claim-mode", "execution.state-recovery.path"

    def options(resume: Path | None) -> Any:
        return submission.job(local, Wanted("fraud_features", resume), line)["options"]

    chk = layout.checkpoints / "fraud_features" / "a" / "chk-1"
    assert options(chk)[mode] == "CLAIM"
    kept = options(layout.savepoints / "fraud_features" / "savepoint-1")
    assert (kept[mode], kept[path][-11:]) == ("NO_CLAIM", "savepoint-1")
    assert path not in options(None)
    assert options(None)["$internal.pipeline.job-id"] == "f" * 32
    assert options(None)["execution.checkpointing.dir"].endswith("/checkpoints/fraud_features")


@pytest.mark.parametrize("name", ["nothing", "../jobs/fraud_features", "", "__init__"])
def test_only_what_a_product_declares_is_a_job(name: str) -> None:
    with pytest.raises(UserError, match="no job named"):
        jobs.declared(Settings(), name)


def test_a_refusal_for_state_that_fits_no_more_says_what_helps() -> None:
    told = (
        "Caused by: java.lang.IllegalStateException: Failed to rollback to savepoint s. Cannot map "
        "state for operator 1 to the new program. If you want to allow to skip this, you can set "
        "the --allowNonRestoredState option on the CLI."
    )
    assert str(submission.refusal("j", told)).endswith("`millrace jobs submit j --drop-state`")
    assert "--drop-state" not in str(submission.refusal("j", "Caused by: no slots"))


def test_the_reason_is_the_innermost_cause() -> None:
    assert jobs.reason("a\nCaused by: first\n\tat x\nCaused by: second\nend") == "Caused by: second"
    assert jobs.reason("Traceback\nValueError: no\n") == "ValueError: no"
    py4j = (
        "py4j.protocol.Py4JJavaError: while calling o8.sqlQuery.\n: org.apache.X: no table\n\tat y"
    )
    assert jobs.reason(py4j) == "org.apache.X: no table"
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


def test_a_stop_waits_until_every_task_runs(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([0, 0, 1, 2])  # the first is for the job's id
    asked: list[str] = []
    monkeypatch.setattr(cluster, "overview", lambda _settings: _overview("RUNNING", next(looks)))
    monkeypatch.setattr("millrace.flink.jobs.time.sleep", lambda _seconds: asked.append("wait"))

    def rest(_settings: Settings, path: str, body: object = None) -> dict[str, Any]:
        asked.append(path.rpartition("/")[2])
        done = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/there"}}
        return {"request-id": "r"} if body else done

    monkeypatch.setattr(cluster, "rest", rest)
    assert jobs.stop(local, "j") == Path("/there")
    assert asked == ["wait", "wait", "stop", "r"]


def test_a_stop_whose_tasks_never_run_is_refused_and_the_job_stays_kept(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "overview", lambda _settings: _overview("RESTARTING", 1))
    with pytest.raises(UserError, match="not all tasks run after 0 s"):
        jobs.stop(local, "j", timeout=0)
    assert not jobs.stopped_on_purpose(local, "j")


def _keeper(
    local: Settings, monkeypatch: pytest.MonkeyPatch, found: list[dict[str, Any]]
) -> tuple[Keeper, list[Any]]:
    submitted: list[Any] = []

    def submit(
        _settings: Settings, wanted: list[Wanted], _client: object
    ) -> dict[str, str | UserError]:
        submitted.extend((one.name, one.resume) for one in wanted)
        return {one.name: "f" * 32 for one in wanted}

    monkeypatch.setattr(cluster, "overview", lambda _settings: found)
    monkeypatch.setattr(submission, "submit_all", submit)
    return Keeper(local, ("j",)), submitted


def _pass(keeper: Keeper) -> None:
    """One look, and what follows from it."""
    if missing := keeper.look():
        keeper.submit(missing)


def _refusing(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    def refuse(
        _settings: Settings, wanted: list[Wanted], _client: object
    ) -> dict[str, str | UserError]:
        return {one.name: UserError(why) for one in wanted}

    monkeypatch.setattr(submission, "submit_all", refuse)


def test_a_running_job_is_left_alone(local: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, submitted = _keeper(local, monkeypatch, _overview("RUNNING"))
    _pass(keeper)
    assert (submitted, keeper.missing) == ([], {})


def test_a_job_that_restarts_is_unhealthy_but_not_submitted(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, submitted = _keeper(local, monkeypatch, _overview("RESTARTING", 0))
    _pass(keeper)
    assert (submitted, keeper.missing) == ([], {"j": "RESTARTING, 0 of 2 tasks run"})


@pytest.mark.parametrize("found", [[], _overview("FAILED", 0), _overview("CANCELED", 0)])
def test_a_job_that_is_gone_is_resumed(
    local: Settings, monkeypatch: pytest.MonkeyPatch, found: list[dict[str, Any]]
) -> None:
    checkpoint = _complete(Layout.of(local).checkpoints / "j" / "one" / "chk-9", age=0)
    keeper, submitted = _keeper(local, monkeypatch, found)
    _pass(keeper)
    _pass(keeper)  # accepted just now: it is given time to appear
    assert submitted == [("j", checkpoint)]


def test_all_that_is_missing_goes_through_one_client(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def submit(
        _settings: Settings, wanted: list[Wanted], _client: object
    ) -> dict[str, str | UserError]:
        asked.append([one.name for one in wanted])
        return {one.name: UserError("no") if one.name == "b" else "f" * 32 for one in wanted}

    monkeypatch.setattr(cluster, "overview", lambda _settings: _overview("RUNNING"))
    monkeypatch.setattr(submission, "submit_all", submit)
    keeper = Keeper(local, ("a", "b", "c", "j"))
    write(Layout.of(local).jobs / "c.stopped", "")
    _pass(keeper)
    assert asked == [["a", "b"]]
    _pass(keeper)  # both are given time
    assert asked == [["a", "b"]]
    assert keeper.missing["b"] == "no (tried 1 times)"
    assert keeper.kept[0].failures == 0, "a is none the worse for it"


def test_a_job_stopped_on_purpose_stays_stopped(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(Layout.of(local).jobs / "j.stopped", "")
    keeper, submitted = _keeper(local, monkeypatch, [])
    _pass(keeper)
    assert (submitted, keeper.missing) == ([], {})


def test_a_refused_job_is_told_and_tried_later(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, _ = _keeper(local, monkeypatch, [])

    _refusing(monkeypatch, "flink run refused j: no such column")
    kept = keeper.kept[0]
    _pass(keeper)
    assert kept.problem == "flink run refused j: no such column (tried 1 times)"
    assert kept.not_before > 0
    before = kept.failures
    _pass(keeper)
    assert kept.failures == before


def test_a_file_that_fails_is_a_failed_submission(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, _ = _keeper(local, monkeypatch, [])

    def full(*_arguments: object) -> str:
        raise OSError(28, "No space left on device", "/state/flink/conf/config.yaml")

    monkeypatch.setattr(submission, "submit_all", full)
    _pass(keeper)
    assert keeper.missing == {
        "j": "/state/flink/conf/config.yaml: No space left on device (tried 1 times)"
    }
    assert keeper.kept[0].not_before > 0


FAKE_CLIENT = f"""#!{sys.executable}
import json, pathlib, sys, time
folder = pathlib.Path(__file__).parent
answers = json.loads((folder / "answers.json").read_text())
print("killed", flush=True)
with open(folder / "asked.jsonl", "a") as asked, open(sys.argv[-1], "a") as told:
    for line in sys.stdin:
        asked.write(line)
        asked.flush()
        job = json.loads(line)
        if "options" in job and job["name"] in answers:
            told.write(json.dumps({{"name": job["name"]}} | answers[job["name"]]) + "\\n")
time.sleep(answers.get("sleep", 0))
"""


@dataclass
class FakeClient:
    """A process that answers what a test says, by job, and keeps what it was asked."""

    folder: Path

    def answer(self, **answers: Any) -> None:
        write(self.folder / "answers.json", json.dumps(answers))

    @property
    def asked(self) -> list[dict[str, Any]]:
        file = self.folder / "asked.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def client(local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeClient:
    fake = FakeClient(tmp_path / "fake")
    fake.answer()
    write(fake.folder / "python", FAKE_CLIENT, 0o755)
    Layout.of(local).jobs.mkdir(parents=True)
    monkeypatch.setattr(Layout, "flink_python", fake.folder / "python")
    monkeypatch.setattr(cluster, "overview", lambda _settings: [])
    monkeypatch.setattr(cluster, "lingering", lambda _settings: [])
    monkeypatch.setattr(flink, "prepare", lambda *_: None)
    monkeypatch.setattr(
        jobs,
        "declared",
        lambda _settings, name: products.Job(name, f"jobs.{name}", local.state_dir),
    )
    return fake


def test_one_client_submits_all_and_one_that_is_refused_hinders_none(
    local: Settings, client: FakeClient
) -> None:
    before = lineage.begin(local, "b", None)
    client.answer(a={"id": "1" * 32}, b={"error": "x\nCaused by: no table\n"}, c={"id": "3" * 32})
    write(Layout.of(local).jobs / "c.stopped", "")
    nowhere = Wanted("e", Path("/nowhere"))
    outcomes = submission.submit_all(local, [nowhere, *map(Wanted, ("a", "b", "c", "d"))])
    assert [one["name"] for one in client.asked] == ["a", "b", "c", "d"]
    assert (outcomes["a"], outcomes["c"]) == ("1" * 32, "3" * 32)
    assert str(outcomes["b"]) == "Flink refused b: Caused by: no table"
    assert str(outcomes["d"]) == "the client ended before d: killed"
    assert "it has no _metadata" in str(outcomes["e"])
    assert lineage.current(local, "b") == before, "it never began"
    assert lineage.current(local, "d") is not None, "nobody knows"
    assert not jobs.stopped_on_purpose(local, "c")
    assert list(Layout.of(local).jobs.glob(".client.*")) == []


def _with_start(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Give jobs a start of their own, which is the option `go.on` of each."""
    declared = {
        name: products.Job(name, f"jobs.{name}", Path(), f"starts.{name}") for name in names
    }
    monkeypatch.setattr(products, "jobs", lambda _settings: declared)

    def options(settings: Settings, name: str) -> dict[str, str]:
        if name == "broken":
            raise ValueError("no such table")
        return {"go.on": name}

    for name in names:
        module = types.ModuleType(f"starts.{name}")
        module.options = partial(options, name=name)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_job_with_a_start_of_its_own_is_told_where_to_go_on_and_resumes_from_nothing(
    local: Settings, client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_start(monkeypatch, "a")
    checkpoint = _complete(Layout.of(local).checkpoints / "a" / "one" / "chk-1", age=0)
    assert submission.resumable(local, "a") is None
    assert submission.resumable(local, "b") is None
    client.answer(a={"id": "1" * 32}, b={"id": "2" * 32})
    assert submission.submit(local, Wanted("a")) == "1" * 32
    assert submission.submit(local, Wanted("b")) == "2" * 32
    assert submission.submit_all(local, [Wanted("a"), Wanted("b")]) == {
        "a": "1" * 32,
        "b": "2" * 32,
    }
    assert [one["name"] for one in client.asked] == ["a", "b", "b", "a"], "others do not wait"
    ours, others = (one["options"] for one in client.asked[:2])
    assert ours["go.on"] == "a"
    assert "go.on" not in others
    assert "execution.state-recovery.path" not in ours
    with pytest.raises(UserError, match="a goes on from what it has written"):
        submission.submit(local, Wanted("a", checkpoint))


def test_a_start_is_looked_up_when_no_task_of_a_former_job_can_commit_any_more(
    local: Settings, client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_start(monkeypatch, "a")
    looked: list[object] = []
    answers = iter([None, ["0" * 32], []])

    def lingering(_settings: Settings) -> list[str] | None:
        looked.append(next(answers))
        return looked[-1]  # type: ignore[return-value]

    monkeypatch.setattr(cluster, "lingering", lingering)
    client.answer(a={"id": "1" * 32})
    assert submission.submit(local, Wanted("a")) == "1" * 32
    assert looked == [], "there was none before"
    assert submission.submit(local, Wanted("a")) == "1" * 32
    assert looked == [None, ["0" * 32], []]
    monkeypatch.setattr(submission, "LINGERING_S", 0.0)
    for found, told in ((None, "may still run: none is there"), (["7"], "of 7 still run")):
        monkeypatch.setattr(cluster, "lingering", lambda _settings, found=found: found)
        with pytest.raises(UserError, match=f"TaskManagers: tasks {told}"):
            submission.submit(local, Wanted("a"))


def test_a_job_lingers_that_holds_a_slot_and_does_not_live(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slots(*jobs: str) -> dict[str, Any]:
        return {"allocatedSlots": [{"jobId": one} for one in jobs]}

    answers: dict[str, Any] = {
        "/taskmanagers": {"taskmanagers": [{"id": "t"}, {"id": "u"}]},
        "/taskmanagers/t": slots("lives", "unknown"),
        "/taskmanagers/u": slots("lives", "ended"),
        "/jobs/overview": {
            "jobs": [
                {"jid": "lives", "state": "RUNNING", "start-time": 1},
                {"jid": "ended", "state": "CANCELED", "start-time": 1},
            ]
        },
    }
    monkeypatch.setattr(cluster, "rest", lambda _settings, path: answers[path])
    assert cluster.lingering(local) == ["ended", "unknown"]
    answers["/taskmanagers"] = {"taskmanagers": []}
    assert cluster.lingering(local) is None


def test_a_start_that_fails_is_that_jobs_failure(
    local: Settings, client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    _with_start(monkeypatch, "broken")
    client.answer(other={"id": "1" * 32}, broken={"id": "2" * 32})
    outcomes = submission.submit_all(local, [Wanted("broken"), Wanted("other")])
    assert str(outcomes["broken"]) == "it cannot tell where to go on: no such table"
    assert outcomes["other"] == "1" * 32
    assert [one["name"] for one in client.asked] == ["other"]


@pytest.mark.slow
def test_a_submission_that_takes_too_long_is_refused_in_one_line(
    local: Settings, client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answer(sleep=60)
    monkeypatch.setattr(client_process, "CLIENT_TIMEOUT_S", 0)
    monkeypatch.setattr(client_process, "JOB_TIMEOUT_S", 1)
    with pytest.raises(UserError, match="the client ended before j: not within 1 s"):
        submission.submit(local, Wanted("j"))


def test_a_client_that_dies_early_is_told_by_its_last_words(
    local: Settings, client: FakeClient
) -> None:
    write(client.folder / "python", "#!/bin/sh\necho no such module\nexit 1\n", 0o755)
    with pytest.raises(UserError, match="the client ended before j: no such module"):
        submission.submit(local, Wanted("j"))


def test_a_client_gets_ready_while_the_cluster_and_the_topics_are_away(
    local: Settings, client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answer(j={"id": "f" * 32})
    write(Layout.of(local).jobs / "stopped.stopped", "")
    absent, made = ["shop-events"], list[Client]()

    def start(loaded: Settings) -> Client:
        made.append(Client(loaded))
        return made[-1]

    keeper = Keeper(local, ("j", "stopped"), lambda: absent, start)
    monkeypatch.setattr(cluster, "overview", _refused)
    assert keeper.look() == keeper.look() == []
    assert len(made) == 1
    monkeypatch.setattr(cluster, "overview", lambda _settings: [])
    assert keeper.look() == []
    assert keeper.missing["j"] == "waits for topics: shop-events"
    absent.clear()
    (missing,) = keeper.look()
    keeper.submit([missing])
    assert [(one["name"], "options" in one) for one in client.asked] == [("j", False), ("j", True)]
    assert not made[0].alive
    assert keeper.kept[0].failures == 0


def test_a_client_that_nobody_needed_ends(
    local: Settings, client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Client(local)
    keeper = Keeper(local, ("j",), list, lambda _settings: made)
    monkeypatch.setattr(cluster, "overview", _refused)
    keeper.look()
    assert made.alive
    monkeypatch.setattr(cluster, "overview", lambda _settings: _overview("RUNNING"))
    assert keeper.look() == []
    assert not made.alive
    assert list(Layout.of(local).jobs.glob(".client.*")) == []


def _refused(_settings: Settings) -> list[dict[str, Any]]:
    raise RetryableError("Flink does not answer")


def test_a_job_that_runs_is_not_submitted_again(
    local: Settings, client: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "overview", lambda _settings: _overview("RESTARTING"))
    with pytest.raises(UserError, match="j is already running"):
        submission.submit(local, Wanted("j"))
    assert client.asked == []


def _metrics(keeper: Keeper) -> dict[str, float]:
    lines = [line for line in keeper.metrics().decode().splitlines() if not line.startswith("#")]
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines)
        if name.startswith("millrace_") and "_created" not in name
    }


def test_the_keeper_counts_what_it_submits(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, _ = _keeper(local, monkeypatch, [])
    names = ("job_submissions_total", "job_submission_failures_total", "job_not_running")
    submissions, failures, not_running = (f'millrace_{name}{{job="j"}}' for name in names)
    assert _metrics(keeper) == {submissions: 0, failures: 0, not_running: 1}
    _pass(keeper)
    assert _metrics(keeper) == {submissions: 1, failures: 0, not_running: 1}
    monkeypatch.setattr(cluster, "overview", lambda _settings: _overview("RUNNING"))
    _pass(keeper)
    assert _metrics(keeper) == {submissions: 1, failures: 0, not_running: 0}

    _refusing(monkeypatch, "no")
    monkeypatch.setattr(cluster, "overview", lambda _settings: [])
    keeper.kept[0].not_before = 0
    _pass(keeper)
    assert _metrics(keeper) == {submissions: 1, failures: 1, not_running: 1}


def test_a_cluster_that_is_away_is_the_problem_told(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, submitted = _keeper(local, monkeypatch, [])

    def away(_settings: Settings) -> list[dict[str, Any]]:
        raise RetryableError("JobManager is away")

    monkeypatch.setattr(cluster, "overview", away)
    _pass(keeper)
    assert (submitted, keeper.missing) == ([], {"j": "JobManager is away"})


@pytest.mark.slow
def test_it_is_ready_once_all_jobs_run_and_names_those_that_do_not(local: Settings) -> None:
    keeper = Keeper(local, ("j",))
    server = serve("127.0.0.1", 0, keeper, keeper.metrics)
    url = f"http://127.0.0.1:{server.server_port}/readyz"
    try:
        with pytest.raises(urllib.error.HTTPError) as degraded, urllib.request.urlopen(url):
            pass
        assert degraded.value.code == 503
        assert json.loads(degraded.value.read())["missing"] == {"j": "not checked yet"}
        degraded.value.close()
        keeper.kept[0] = Kept("j", problem=None)
        with urllib.request.urlopen(url) as fine:
            assert json.loads(fine.read()) == {"ready": True, "missing": {}, "waiting": {}}
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/healthz") as healthy:
            assert json.loads(healthy.read()) == {"alive": True}
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


def test_the_jars_of_a_set_up_are_there_for_those_who_need_it(tmp_path: Path) -> None:
    layout = Layout(state=tmp_path / "state", build=tmp_path / "build", root=tmp_path)
    for jar in (layout.flink_home / "lib" / "flink-dist.jar", layout.flink_jars / "connector.jar"):
        write(jar, jar.name)
    with pytest.raises(UserError, match=r"setup\.sh --with extra"):
        flink.assemble(layout, ["extra"])
    write(layout.jars("extra") / "driver.jar", "driver")
    plain, wider = flink.assemble(layout), flink.assemble(layout, ["extra"])
    assert {one.name for one in wider.iterdir()} - {one.name for one in plain.iterdir()} == {
        "driver.jar"
    }


def test_missing_jars_are_said_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make setup"):
        flink.assemble(Layout(state=tmp_path, build=tmp_path, root=tmp_path))

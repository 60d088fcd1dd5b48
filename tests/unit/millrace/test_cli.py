"""Exit codes and words of the command line, as a person meets them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from config.errors import RetryableError
from config.products import groups
from config.settings import ROOT, Settings, settings
from millrace.cli import jobs as cli_jobs
from millrace.cli import main, stack
from millrace.cli.main import build
from millrace.errors import told
from millrace.flink import jobs, lineage, submission
from millrace.flink import rest as cluster
from millrace.stack import lifecycle


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Millrace = Callable[..., Done]


@pytest.fixture(scope="module")
def application() -> typer.Typer:
    """Every command, loaded once."""
    return build()


@pytest.fixture
def millrace(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    application: typer.Typer,
    fresh_settings: None,
) -> Millrace:
    """Run a command line in this process, with a state folder and ports of its own."""
    del fresh_settings
    monkeypatch.setattr(main, "build", lambda _: application)
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def run(*arguments: str, **environment: str) -> Done:
        for name, value in {**_environment(tmp_path), **environment}.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        monkeypatch.setattr(sys, "argv", ["millrace", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Done(code or 0, *capsys.readouterr())

    return run


def _environment(tmp_path: Path) -> dict[str, str]:
    return {"MILLRACE_STATE_DIR": str(tmp_path / "state"), "MILLRACE_PORT_OFFSET": "19000"}


def _as_a_process(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = (sys.executable, "-m", "millrace.cli.main", *arguments)
    env = {**os.environ, **_environment(tmp_path)}
    return subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("logs", "zookeeper"), "no process named zookeeper; there are: kafka"),
        (("logs", "kafka"), "kafka has not written a log yet"),
        (("up", "--only", "kafak"), "no process or group named kafak"),
        (("restart", "kafak"), "no process named kafak"),
        (("restart", "kafka"), "the stack's Supervisor does not answer"),
        (("jobs", "submit", "nothing"), "no job named nothing; products declare: fraud_features"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_code_2(
    millrace: Millrace, arguments: tuple[str, ...], words: str
) -> None:
    done = millrace(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"millrace: {words}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"MILLRACE_PORT_OFFSET": "many"}, "MILLRACE_PORT_OFFSET: Input should be a valid integer"),
        ({"MILLRACE_STATE_DIR": "/dev/null/state"}, "/dev/null/state/flink/jobs: Not a directory"),
    ],
)
def test_bad_settings_and_files_are_one_line_and_code_2(
    millrace: Millrace, given: dict[str, str], words: str
) -> None:
    done = millrace("jobs", "submit", "fraud_features", **given)
    assert done.returncode == 2
    assert done.stderr.startswith(f"millrace: {words}")
    assert done.stderr.count("\n") == 1
    assert "many" not in done.stderr


def test_a_failed_file_is_told_with_its_path_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "none").read_text()
    assert told(missing.value) == f"{tmp_path}/none: No such file or directory"
    assert told(OSError("no more")) == "no more"
    assert told(RetryableError("away")) == "away"


@pytest.mark.parametrize("line", [("simulate", "--days", "1"), ("train", "fraud", "--simulate")])
def test_a_seed_is_not_negative(millrace: Millrace, line: tuple[str, ...]) -> None:
    done = millrace(*line, "--seed", "-1")
    assert done.returncode == 2
    assert "--seed" in done.stderr
    assert "Traceback" not in done.stderr


def test_status_shows_what_went_wrong_with_a_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = cluster.Job("j", "f" * 32, 60.0, "RUNNING", 2, 2, 3, 40, 5, None, None)
    monkeypatch.setattr(stack, "read_status", lambda _: {"processes": [], "jobs": [asdict(job)]})
    stack.status()
    assert "2/2 tasks, 3 restarts, 40 checkpoints, 5 failed" in capsys.readouterr().out


def test_up_for_programs_keeps_its_words_out_of_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def up(_settings: Settings, say: lifecycle.Say, names: tuple[str, ...], timeout: float) -> None:
        say(f"{names} ready within {timeout:g} s")

    monkeypatch.setattr(lifecycle, "up", up)
    monkeypatch.setattr(
        stack, "read_status", lambda _: {"running": True, "processes": [], "jobs": []}
    )
    app = typer.Typer()
    stack.register(app)
    program = CliRunner().invoke(app, ["up", "--only", "kafka, redis", "--timeout", "9", "--json"])
    assert json.loads(program.stdout) == {"running": True, "processes": [], "jobs": []}
    assert program.stderr == "('kafka', 'redis') ready within 9 s\n"
    person = CliRunner().invoke(app, ["up", "--only", "redis"])
    assert (person.stdout, person.stderr) == ("('redis',) ready within 120 s\n", "")


def test_only_and_with_may_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[frozenset[str], tuple[str, ...]]] = []

    def up(loaded: Settings, _say: lifecycle.Say, names: tuple[str, ...], _timeout: float) -> None:
        given.append((groups(loaded), names))

    monkeypatch.setattr(lifecycle, "up", up)
    app = typer.Typer()
    stack.register(app)
    line = ["up", "--only", "kafka", "--only", "redis,shop", "--with", "airflow", "--with", "lake"]
    assert CliRunner().invoke(app, line).exit_code == 0
    ((on, names),) = given
    assert names == ("kafka", "redis", "shop")
    assert on == groups(settings()) | {"airflow", "lake"}
    refused = CliRunner().invoke(app, ["up", "--with", "nothing"])
    assert "no group named nothing" in str(refused.exception)


@pytest.mark.parametrize("command", [("down",), ("restart", "redis")])
def test_commands_of_the_stack_end_with_its_status_for_programs(
    monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    for name in ("down", "restart"):
        monkeypatch.setattr(lifecycle, name, lambda _settings, say, *_: say("words for a person"))
    monkeypatch.setattr(stack, "read_status", lambda _: {"running": False})
    app = typer.Typer()
    stack.register(app)
    done = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(done.stdout) == {"running": False}
    assert done.stderr == "words for a person\n"


def test_reset_tells_programs_what_it_removed(tmp_path: Path, millrace: Millrace) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for removed in (True, False):
        done = millrace("reset", "--yes", "--json")
        assert json.loads(done.stdout) == {"state_dir": str(state), "removed": removed}
        assert not state.exists()


@pytest.fixture
def submitted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fresh_settings: None
) -> list[submission.Wanted]:
    """What was submitted; each becomes the job f00."""
    del fresh_settings
    asked: list[submission.Wanted] = []

    def submit(_settings: Settings, wanted: submission.Wanted) -> str:
        asked.append(wanted)
        return "f00"

    monkeypatch.setenv("MILLRACE_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(lineage, "latest", lambda *_: Path("/state/chk-3"))
    monkeypatch.setattr(submission, "submit", submit)
    return asked


@pytest.mark.parametrize(
    ("options", "resume", "words"),
    [
        ((), "/state/chk-3", "fraud_features f00 resumed from /state/chk-3\n"),
        (
            ("--from-savepoint", "/else/where"),
            "/else/where",
            "fraud_features f00 resumed from /else/where\n",
        ),
        (("--fresh",), None, "fraud_features f00 started fresh\n"),
    ],
)
def test_a_submission_tells_the_job_and_what_it_resumes(
    submitted: list[submission.Wanted], options: tuple[str, ...], resume: str | None, words: str
) -> None:
    line = ["submit", "fraud_features", *options]
    assert CliRunner().invoke(cli_jobs.app, line).stdout == words
    answer = json.loads(CliRunner().invoke(cli_jobs.app, [*line, "--json"]).stdout)
    assert answer == {"name": "fraud_features", "id": "f00", "resumed_from": resume}
    assert [one.resume for one in submitted] == [Path(resume) if resume else None] * 2


def test_a_submission_leaves_behind_again_what_the_one_before_left(
    submitted: list[submission.Wanted],
) -> None:
    """A handover that was killed while it submitted the job is gone on from by that."""
    given = Path("/state/chk-3")
    lineage.begin(settings(), "fraud_features", given, drops_state=True)
    for options, drops in (((), True), (("--from-savepoint", "/else/where"), False)):
        CliRunner().invoke(cli_jobs.app, ["submit", "fraud_features", *options])
        assert submitted[-1].drops_state is drops


def test_a_stop_tells_the_savepoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "stop", lambda _settings, job: Path(f"/state/{job}/savepoint-1"))
    line = ["stop", "fraud_features"]
    assert CliRunner().invoke(cli_jobs.app, line).stdout == "/state/fraud_features/savepoint-1\n"
    answer = json.loads(CliRunner().invoke(cli_jobs.app, [*line, "--json"]).stdout)
    assert answer == {"name": "fraud_features", "savepoint": "/state/fraud_features/savepoint-1"}


# Every command whose answer a script would read; the others say only that they did it, or show
# something for long.
WITH_JSON = {
    "millrace alerts ack",
    "millrace alerts list",
    "millrace alerts show",
    "millrace alerts silence",
    "millrace alerts tail",
    "millrace alerts test",
    "millrace backfill fraud-features",
    "millrace bridge mqtt",
    "millrace dashboards check",
    "millrace dashboards list",
    "millrace demo",
    "millrace demo-sensors",
    "millrace doctor",
    "millrace down",
    "millrace evaluate anomalies",
    "millrace evaluate fraud",
    "millrace evaluate inventory",
    "millrace evaluate recommendations",
    "millrace explain",
    "millrace features list",
    "millrace features show",
    "millrace forecast inventory",
    "millrace forecast uplift list",
    "millrace forecast uplift remove",
    "millrace forecast uplift set",
    "millrace forget",
    "millrace jobs list",
    "millrace jobs stop",
    "millrace jobs submit",
    "millrace lake apply",
    "millrace lake check",
    "millrace lake checks",
    "millrace lake compact",
    "millrace lake expire",
    "millrace lake list",
    "millrace lake orphans",
    "millrace lake upkeep",
    "millrace lists add",
    "millrace lists remove",
    "millrace lists show",
    "millrace marts build",
    "millrace marts docs",
    "millrace marts freshness",
    "millrace metrics verify",
    "millrace metrics watch",
    "millrace model list",
    "millrace model promote",
    "millrace model quality",
    "millrace model rollback",
    "millrace model shadow",
    "millrace new product",
    "millrace produce",
    "millrace quarantine list",
    "millrace quarantine replay",
    "millrace quarantine show",
    "millrace replay instacart",
    "millrace replay olist",
    "millrace replay online-retail",
    "millrace replay outside",
    "millrace replay retail-rocket",
    "millrace replay sensor-metadata",
    "millrace replay sensors",
    "millrace replay transactions",
    "millrace reset",
    "millrace restart",
    "millrace rules check",
    "millrace rules list",
    "millrace rules test",
    "millrace sensors describe",
    "millrace sensors locate",
    "millrace simulate",
    "millrace simulate orders",
    "millrace simulate payments",
    "millrace simulate sensors",
    "millrace simulate shop",
    "millrace simulate stock",
    "millrace sql",
    "millrace status",
    "millrace stock correct",
    "millrace stock count",
    "millrace stock deliver",
    "millrace stock terms",
    "millrace topics apply",
    "millrace topics check",
    "millrace topics list",
    "millrace topics tail",
    "millrace train anomalies",
    "millrace train fraud",
    "millrace train orders",
    "millrace train recommendations",
    "millrace up",
    "millrace verify features",
}


def _commands(command: Any, path: str = "millrace") -> Iterator[tuple[str, Any]]:
    for name, one in getattr(command, "commands", {}).items():
        yield from _commands(one, f"{path} {name}")
    if not hasattr(command, "commands") or command.invoke_without_command:
        yield path, command


def test_every_command_has_a_description_and_an_example_of_itself(
    application: typer.Typer,
) -> None:
    with_json = set()
    for path, command in _commands(typer.main.get_command(application)):
        assert command.help, path
        example = command.epilog or ""
        assert example.startswith(f"Example: {path}"), path
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in example.split() if word.startswith("-")} <= options, path
        with_json |= {path} if "--json" in options else set()
    assert with_json == WITH_JSON


@pytest.mark.slow
def test_every_command_refuses_an_unknown_option_in_one_line(
    millrace: Millrace, application: typer.Typer
) -> None:
    for path, command in _commands(typer.main.get_command(application)):
        # Where it passes them on, they are another program's to judge.
        if command.context_settings.get("ignore_unknown_options"):
            continue
        done = millrace(*path.split()[1:], "--no-such-option")
        words = f"millrace: No such option: --no-such-option (`{path} --help`)\n"
        assert done == Done(2, "", words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(
            *(("nothing",), "No such command 'nothing'. (`millrace --help`)"),
            marks=pytest.mark.slow,  # loads the libraries of every command
        ),
        (("jobs", "submit"), "Missing argument 'name'. (`millrace jobs submit --help`)"),
        (("status", "more"), "Got unexpected extra argument(s) (more) (`millrace status --help`)"),
    ],
)
def test_a_wrong_line_is_one_line_and_code_2(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = _as_a_process(tmp_path, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"millrace: {words}\n")


def test_a_group_alone_is_answered_with_its_commands(millrace: Millrace) -> None:
    done = millrace("jobs")
    assert (done.returncode, done.stderr) == (2, "")
    assert "Stop a job with a savepoint" in done.stdout


def test_a_stack_that_does_not_run_is_no_error(millrace: Millrace) -> None:
    down = millrace("down")
    assert (down.returncode, down.stdout.strip()) == (0, "the stack is not running")
    status = millrace("status")
    assert status.returncode == 0
    assert "stopped" in status.stdout


def test_doctor_fails_when_something_is_wrong(tmp_path: Path, millrace: Millrace) -> None:
    done = millrace("doctor", MILLRACE_BUILD_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "make setup" in done.stdout


def test_reset_asks_and_takes_no_for_an_answer(tmp_path: Path, millrace: Millrace) -> None:
    (tmp_path / "state").mkdir()
    refused = millrace("reset")
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (1, "millrace: aborted")
    assert (tmp_path / "state").exists()
    done = millrace("reset", "--yes")
    assert done.returncode == 0
    assert not (tmp_path / "state").exists()

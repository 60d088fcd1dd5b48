"""Exit codes and words of the command line, as a person meets them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import typer

from config.errors import RetryableError
from config.settings import ROOT
from millrace.cli import stack
from millrace.cli.main import build
from millrace.errors import told
from millrace.stack import cluster


def _millrace(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "MILLRACE_STATE_DIR": str(tmp_path / "state"), "MILLRACE_PORT_OFFSET": "19000", **environment}
    line = (sys.executable, "-m", "millrace.cli.main", *arguments)
    return subprocess.run(line, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("logs", "zookeeper"), "no process named zookeeper; there are: kafka"),
        (("logs", "kafka"), "kafka has not written a log yet"),
        (("up", "--only", "kafak"), "no process named kafak"),
        (("restart", "kafak"), "no process named kafak"),
        (("restart", "kafka"), "the stack's Supervisor does not answer"),
        (("jobs", "submit", "nothing"), "no job named nothing; products.yaml has: fraud_features"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_code_2(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = _millrace(tmp_path, *arguments)
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
def test_bad_settings_and_files_are_one_line_and_code_2(tmp_path: Path, given: dict[str, str], words: str) -> None:
    done = _millrace(tmp_path, "jobs", "submit", "fraud_features", **given)
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
def test_a_seed_is_not_negative(tmp_path: Path, line: tuple[str, ...]) -> None:
    done = _millrace(tmp_path, *line, "--seed", "-1")
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


def test_every_command_has_a_description_and_an_example_of_itself() -> None:
    def walk(command: Any, path: str) -> Iterator[str]:
        for name, one in getattr(command, "commands", {}).items():
            yield from walk(one, f"{path} {name}")
        if not hasattr(command, "commands"):
            assert command.help, path
            example = command.epilog or ""
            assert example.startswith(f"Example: {path}"), path
            options = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in example.split() if word.startswith("-")} <= options, path
            yield path

    found = list(walk(typer.main.get_command(build()), "millrace"))
    assert {"millrace restart", "millrace train fraud", "millrace topics apply"} < set(found)


def test_a_stack_that_does_not_run_is_no_error(tmp_path: Path) -> None:
    down = _millrace(tmp_path, "down")
    assert (down.returncode, down.stdout.strip()) == (0, "the stack is not running")
    status = _millrace(tmp_path, "status")
    assert status.returncode == 0
    assert "stopped" in status.stdout


def test_doctor_fails_when_something_is_wrong(tmp_path: Path) -> None:
    done = _millrace(tmp_path, "doctor", MILLRACE_BUILD_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "make setup" in done.stdout


def test_reset_asks_and_takes_no_for_an_answer(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    refused = _millrace(tmp_path, "reset")
    assert refused.returncode == 1
    assert (tmp_path / "state").exists()
    done = _millrace(tmp_path, "reset", "--yes")
    assert done.returncode == 0
    assert not (tmp_path / "state").exists()

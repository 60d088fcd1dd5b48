"""Which benchmarks run, what becomes of one that fails, and what the exit code says."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import run
from benchmarks.run import PARTS, Part, exit_code, measure_all, select

MET, MISSED = {"what": "post", "met": True}, {"what": "look-up", "met": False}
OLD = 1_000_000_000


@pytest.mark.parametrize(
    ("rows", "failed", "quick", "code"),
    [
        ([MET], [], False, 0),
        ([MET, MISSED], [], False, 1),
        ([MET], ["rolling"], False, 1),
        ([MET, MISSED], [], True, 0),
        ([MET], ["rolling"], True, 1),
    ],
)
def test_the_exit_code_is_1_when_a_benchmark_failed_or_a_figure_that_counts_was_missed(
    rows: list[dict[str, Any]], failed: list[str], quick: bool, code: int
) -> None:
    assert exit_code(rows, failed, quick) == code


def test_what_was_missed_and_what_failed_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code([MET, MISSED], ["rolling"], quick=False)
    assert capsys.readouterr().err == "rolling failed\nmissed: look-up\n"


def test_the_profile_comes_after_the_job_it_profiles() -> None:
    names = [part.name for part in PARTS]
    assert names.index("profile") == names.index("rolling") + 1


def test_named_benchmarks_run_in_the_order_of_all_and_an_unknown_one_is_refused() -> None:
    assert [part.name for part in select("post,rolling")] == ["rolling", "post"]
    with pytest.raises(
        argparse.ArgumentTypeError, match="no benchmark roling: there are rolling, "
    ):
        select("roling")


def test_one_that_fails_or_leaves_no_new_result_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stale.json").write_text("{}")
    os.utime(tmp_path / "stale.json", (OLD, OLD))

    def ran(line: list[str], **_: Any) -> None:
        if "benchmarks.broken" in line:
            raise subprocess.CalledProcessError(1, line)
        if "benchmarks.good" in line:
            (tmp_path / "kept.json").write_text(json.dumps({"p99_ms": 3}))

    monkeypatch.setattr(run, "RESULTS", tmp_path)
    monkeypatch.setattr(subprocess, "run", ran)
    parts = [Part(name) for name in ("broken", "stale", "absent")] + [Part("good", keeps="kept")]
    assert measure_all(parts, False, {}) == ({"good": {"p99_ms": 3}}, ["broken", "stale", "absent"])

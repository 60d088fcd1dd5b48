"""Results as JSON that every reader takes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks import report


def test_a_number_that_json_has_no_word_for_is_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.delenv("MILLRACE_BENCH_SUFFIX", raising=False)
    path = report.keep("lookup", {"p99_ms": math.inf, "rounds": [{"ratio": math.nan}, (1.5, 2)]})
    found = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert (found["p99_ms"], found["rounds"]) == (None, [{"ratio": None}, [1.5, 2]])


def test_a_quick_runs_result_replaces_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setenv("MILLRACE_BENCH_SUFFIX", "-quick")
    assert [report.keep(name, {}).name for name in ("post", "post-quick")] == [
        "post-quick.json"
    ] * 2

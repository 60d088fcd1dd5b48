"""The specification holds the kernel.

The same random rows through domain/features/reference.py and through real Flink jobs.

Every value of every feature of every row is compared bit by bit. A failure names the seed, the run,
the key, the row and the feature; MILLRACE_SEED=<seed> draws the same again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.flink_home import run_script
from tests.integration.rolling_runs import (
    SEEDS,
    Run,
    bits,
    differences,
    drawn,
    many,
    outputs,
    parts,
    seeds,
)

MOST_SHOWN = 20
# Of the last seed only: where 0 stands beside a fresh one, the fresh one.
AT_TWO = ("every", "terminal", "random0", "random1")
IN_HALVES = ("every", "terminal", "passing", "bucket")
COLD = ("every", "terminal", "passing", "bucket", "chained")


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return [run for seed in SEEDS for run in drawn(seed)]


@pytest.fixture(scope="module")
def warm(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the outputs of three jobs, below `one`, `two` and `halves`."""
    folder = tmp_path_factory.mktemp("warm")
    halves = _job(folder / "halves", _of(runs, IN_HALVES), halves=True)
    jobs = [
        _job(folder / "one", runs),
        _job(folder / "two", _of(runs, AT_TWO), parallelism=2),
        halves,
    ]
    _flink(jobs, folder)
    return folder


def _of(runs: Sequence[Run], kinds: Sequence[str]) -> list[Run]:
    return [run for run in runs if run.seed == SEEDS[-1] and run.kind in kinds]


def _job(
    folder: Path, runs: Sequence[Run], parallelism: int = 1, halves: bool = False
) -> dict[str, Any]:
    folder.mkdir()
    if not halves:
        return {"parallelism": parallelism, "runs": [run.job(folder) for run in runs]}
    there = [run.job_in_halves(folder) for run in runs]
    return {"parallelism": 1, "resumed": 2, "savepoints": str(folder / "savepoints"), "runs": there}


def _flink(jobs: Sequence[dict[str, Any]], folder: Path, heads: int | None = None) -> None:
    """Run the jobs, with so many bytes for heads on the heap."""
    (folder / "jobs.json").write_text(json.dumps({"jobs": jobs}))
    run_script("rolling_job.py", folder / "jobs.json", heads=heads, timeout=500)


def _agree(runs: Sequence[Run], folder: Path) -> None:
    got = {run.name: outputs(folder, run) for run in runs}
    for run in runs:  # a random spec may emit nothing
        assert got[run.name] or run.kind.startswith("random"), f"{run.name}: nothing came out"
    found = [difference for run in runs for difference in differences(run, got[run.name])]
    assert not found, "\n".join([f"{len(found)} differences", *found[:MOST_SHOWN]])


def test_every_bit_agrees(runs: list[Run], warm: Path) -> None:
    _agree(runs, warm / "one")


def test_two_subtasks_share_the_keys_and_not_the_state(runs: list[Run], warm: Path) -> None:
    shared = _of(runs, AT_TWO)
    _agree(shared, warm / "two")
    subtasks = {part.name.split("-")[-2] for part in parts(warm / "two", shared[0])}
    assert subtasks == {"0", "1"}


def test_a_job_resumed_from_a_savepoint_goes_on_as_if_never_stopped(
    runs: list[Run], warm: Path
) -> None:
    """Stopped at one subtask and resumed at two: the keys' state finds its way too."""
    _agree(_of(runs, IN_HALVES), warm / "halves")


def test_heads_that_are_always_read_from_rocksdb_are_the_same(
    runs: list[Run], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cold")
    cold = [many(SEEDS[-1]), *_of(runs, COLD)]
    _flink([_job(folder / "all", cold)], folder, heads=0)
    _agree(cold, folder / "all")


def test_the_streams_hold_what_breaks_things() -> None:
    """Late and duplicate rows, NULLs among values: a comparison of nothing would agree too."""
    run = drawn(0)[0]
    every = run.expected.values()
    assert sum(row["every_late"] for row in every) > 10
    assert sum(row["every_duplicate"] for row in every) > 10
    for feature in run.sets[0].features:
        values = {bits(row[feature.name]) for row in every}
        assert len(values) > 3, f"{feature.name} hardly varies: {values}"
    assert len({row["stream"] for row in many(0).rows}) >= 5_000


def test_the_streams_hold_rows_that_pass_and_would_have_done_something() -> None:
    run = next(run for run in drawn(0) if run.kind == "passing")
    declared = run.sets[0]
    passed = [row["n"] for row in run.rows if row["flag"] and row["kind"] not in (None, "refund")]
    assert len(passed) > 100
    features = [feature.name for feature in declared.features]
    for n in passed:
        assert not any(run.expected[n][mark] for mark in (declared.late, declared.duplicate))
        assert all(run.expected[n][feature] is None for feature in features)
    assert any(run.rows[n]["kind"] == "label" for n in passed), "pass wins over emit"
    taking = Run("taking", 0, [replace(declared, passes=())], run.rows, run.columns, run.computed)
    assert any(taking.expected[n][declared.late] for n in passed if n in taking.expected)
    assert any(taking.expected[n][declared.duplicate] for n in passed if n in taking.expected)
    assert any(taking.expected[n] != run.expected[n] for n in taking.expected.keys() - {*passed})


def test_a_difference_names_what_to_repeat_and_where_to_look(runs: list[Run]) -> None:
    run = runs[0]
    n = max(run.expected)
    got = {**run.expected, n: {**run.expected[n], "rows": -1}}
    del got[min(got)]
    key = run.rows[n]["stream"]
    alone, differs = differences(run, got)
    assert alone.startswith(f"MILLRACE_SEED={run.seed}, every: key stream ")
    assert alone.endswith(", row 0: emitted by the reference alone")
    assert differs.startswith(
        f"MILLRACE_SEED={run.seed}, every: key stream '{key}', row {n}, feature rows: reference "
    )
    assert differs.endswith(", kernel -1")


def test_a_session_draws_a_seed_beside_0_unless_it_is_given_one() -> None:
    drawings = [seeds({}) for _ in range(20)]
    assert {first for first, _ in drawings} == {0}
    assert len({fresh for _, fresh in drawings}) > 1
    assert 0 not in {fresh for _, fresh in drawings}
    assert seeds({"MILLRACE_SEED": "7"}) == (7,)
    assert seeds({"MILLRACE_SEED": "0"}) == (0,)

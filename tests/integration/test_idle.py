"""Keys that no row writes leave the state; what is written again within `keep_idle_ms` stays."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from domain.features.declaration import SECOND, Feature, FeatureSet, Window
from tests.integration import rolling_streams as streams
from tests.integration.flink_home import run_script
from tests.integration.rolling_runs import Run, outputs

# As the kernel wrote every state before `keep_idle_ms`: the longest time-to-live there is.
FOR_EVER = 2**63 - 1
BEFORE = FeatureSet(
    "shortened",
    "thing",
    "stream",
    "t",
    streams.INPUTS,
    (Window("1s", SECOND, 1),),
    (Feature("rows", "count", "1s"),),
    keep_idle_ms=FOR_EVER,
)
KEYS = 20


def test_a_busy_key_keeps_everything_and_an_idle_one_begins_anew(tmp_path: Path) -> None:
    # Rows of busy come ten a second; idle is silent for the 14 seconds between its two.
    job = {
        "spec": dataclasses.replace(BEFORE, keep_idle_ms=6 * SECOND).spec(),
        "output": str(tmp_path / "out"),
        "rows": 140,
        "rows_per_second": 10,
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    run_script("idle_job.py", tmp_path / "job.json")
    rows = [
        json.loads(line)
        for part in (tmp_path / "out").rglob("*")
        if part.is_file() and not part.name.startswith((".", "_"))
        for line in part.read_text().splitlines()
    ]
    seen = {row["n"]: (row["k"], row["rows"]) for row in rows}
    assert len(rows) == len(seen) == 140
    assert seen == {
        0: ("idle", 1),
        **{n: ("busy", n) for n in range(1, 139)},
        139: ("idle", 1),
    }


def _run(name: str, keep_idle_ms: int | None, folder: Path) -> tuple[Run, dict[str, object]]:
    """A row of each key, a savepoint of state kept for ever, and a row of each key again."""
    blank = dict.fromkeys(name for name, _ in streams.INPUTS)
    rows = [
        {**blank, "stream": f"k{n % KEYS}", "t": 1_700_000_000_000, "id": str(n)}
        for n in range(2 * KEYS)
    ]
    before, after = (
        Run(name, 0, [declared], rows, streams.COLUMNS, streams.COMPUTED)
        for declared in (BEFORE, dataclasses.replace(BEFORE, keep_idle_ms=keep_idle_ms))
    )
    return before, before.job_in_halves(folder) | {"changed": after.made()}


@pytest.mark.timeout(500)
def test_state_that_was_kept_for_ever_is_read_and_expires_when_it_shall(tmp_path: Path) -> None:
    kept, kept_job = _run("kept", None, tmp_path)
    expired, expired_job = _run("expired", 2 * SECOND, tmp_path)
    job = {
        "parallelism": 1,
        "resumed": 1,
        "pause": 3,
        "savepoints": str(tmp_path / "savepoints"),
        "runs": [kept_job, expired_job],
    }
    (tmp_path / "jobs.json").write_text(json.dumps({"jobs": [job]}))
    run_script("rolling_job.py", tmp_path / "jobs.json")
    for run, again in ((kept, 2), (expired, 1)):
        got = outputs(tmp_path, run)
        assert {n: row["rows"] for n, row in got.items()} == {
            n: 1 if n < KEYS else again for n in range(2 * KEYS)
        }, run.name

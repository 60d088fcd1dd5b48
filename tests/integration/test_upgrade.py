"""A job's savepoint taken up by a changed declaration.

What was there goes on, what was added begins.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.features.declaration import (
    HOUR,
    MINUTE,
    SECOND,
    Comparison,
    Feature,
    FeatureSet,
    Window,
)
from domain.features.reference import Rolling
from tests.integration import rolling_streams as streams
from tests.integration.flink_home import run_script
from tests.integration.rolling_runs import Run, compared, outputs

LABEL = (Comparison("kind", "eq", "label"),)
BEFORE = FeatureSet(
    "upgrade",
    "thing",
    "stream",
    "t",
    streams.INPUTS,
    (Window("1h", 5 * MINUTE, 12),),
    (
        Feature("rows_1h", "count", "1h"),
        Feature("sum_1h", "sum", "1h", "x"),
        Feature("labels_1h", "count", "1h", filter=LABEL),
        Feature("last_1h", "last", "1h", "s"),
    ),
    id="id",
    emit=(Comparison("kind", "ne", "label"),),
)
AFTER = dataclasses.replace(
    BEFORE,
    windows=(Window("30m", 5 * MINUTE, 6), Window("1h", 5 * MINUTE, 12), Window("1d", HOUR, 24)),
    features=(
        Feature("min_1h", "min", "1h", "x"),
        *reversed(BEFORE.features),
        Feature("labelled_1h", "sum", "1h", "x", filter=LABEL),
        Feature("rows_1d", "count", "1d"),
        Feature("labels_30m", "count", "30m", filter=LABEL),
    ),
)
# Lanes that were there, also in another place and seen through a new window of a known ring.
GOES_ON = (
    "rows_1h",
    "sum_1h",
    "labels_1h",
    "last_1h",
    "labels_30m",
    "upgrade_late",
    "upgrade_duplicate",
)
# New lanes, and a ring that is new.
BEGINS = ("min_1h", "labelled_1h", "rows_1d")
ROWS = 1_800
KEYS = 5


def _row(n: int) -> streams.Row:
    return {
        "stream": f"k{n % KEYS}",
        "t": n * SECOND,
        "id": str(n),
        "kind": "label" if n % 7 == 3 else "transaction",
        "flag": None,
        "x": ((n * 37) % 101) * 0.1 + n / ROWS,
        "w": None,
        "s": f"s{n % 11}",
    }


def _rows() -> tuple[list[streams.Row], dict[int, int]]:
    """Rows a second apart, and which of them repeat which.

    Before the middle, and after it from either side of it.
    """
    rows = [_row(n) for n in range(ROWS)]
    repeats = {400: 301, 401: 45, 1000: 854, 1001: 602, 1200: 1103, 1201: 605}
    for at, first in repeats.items():
        rows[at] = dict(rows[first])
    return rows, repeats


def _reference(
    declared: FeatureSet, rows: Mapping[int, streams.Row]
) -> Mapping[int, Mapping[str, Any]]:
    """The reference's emitted rows, by number."""
    rolling = Rolling(declared)
    return {
        n: out
        for n, row in rows.items()
        if (out := rolling.process(row["stream"], row)) is not None
    }


def _job(folder: Path, rows: list[streams.Row]) -> Run:
    """Run the first half under BEFORE and the second under AFTER, with a savepoint between."""
    before, after = (
        Run("upgrade", 0, [s], rows, streams.COLUMNS, streams.COMPUTED) for s in (BEFORE, AFTER)
    )
    run = before.job_in_halves(folder) | {"changed": after.made()}
    # rolling keeps its state all the same: expired, the second half would begin anew.
    options = {"table.exec.state.ttl": "1 s"}
    job = {
        "parallelism": 1,
        "resumed": 1,
        "savepoints": str(folder / "savepoints"),
        "options": options,
        "runs": [run],
    }
    (folder / "jobs.json").write_text(json.dumps({"jobs": [job]}))
    run_script("rolling_job.py", folder / "jobs.json")
    return before


@pytest.mark.timeout(500)
def test_added_features_and_windows_keep_what_was_there(tmp_path: Path) -> None:
    rows, repeats = _rows()
    made = [{"at_ltz": row["t"], "at_ts": row["t"], **row} for row in rows]
    got = outputs(tmp_path, _job(tmp_path, made))

    numbered = {n: {**row, "n": n} for n, row in enumerate(made)}
    first = {n: row for n, row in numbered.items() if n < ROWS // 2}
    # What is new never saw the first half, and leaves a repeat out as what was there does.
    second = {n: row for n, row in numbered.items() if n >= ROWS // 2 and n not in repeats}
    old, whole, anew = (
        _reference(BEFORE, first),
        _reference(AFTER, numbered),
        _reference(AFTER, second),
    )
    assert {n for n, row in whole.items() if row[AFTER.duplicate]} == {
        n for n in repeats if n in whole
    }
    assert {n for n in repeats if n not in whole}, "a label is repeated too"
    assert got.keys() == whole.keys()

    expected = {n: {name: row[name] for name in BEFORE.columns()} for n, row in old.items()}
    for n in whole.keys() - old.keys():
        begun = anew.get(n, dict.fromkeys(BEGINS))
        expected[n] = {name: whole[n][name] for name in GOES_ON} | {
            name: begun[name] for name in BEGINS
        }
    wrong = compared(expected, got, lambda n: f"key {numbered[n]['stream']!r}, row {n}")
    assert not wrong, "\n".join([f"{len(wrong)} differences", *wrong[:20]])

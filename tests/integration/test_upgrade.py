"""A running job's savepoint taken up by a changed declaration: what was there goes on, what was added begins."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.reference import Rolling
from tests.integration.flink_home import run_script

HOUR = {"tile_ms": 300_000, "tiles": 12}
BEFORE: dict[str, Any] = {
    "version": 1,
    "name": "upgrade",
    "time": "t",
    "id": "id",
    "windows": {"1h": HOUR},
    "features": [
        {"name": "rows_1h", "aggregate": "count", "window": "1h"},
        {"name": "sum_1h", "aggregate": "sum", "window": "1h", "column": "x"},
    ],
}
AFTER: dict[str, Any] = {
    **BEFORE,
    "windows": {"30m": {"tile_ms": 300_000, "tiles": 6}, "1h": HOUR, "1d": {"tile_ms": 3_600_000, "tiles": 24}},
    "features": [
        {"name": "min_1h", "aggregate": "min", "window": "1h", "column": "x"},
        {"name": "sum_1h", "aggregate": "sum", "window": "1h", "column": "x"},
        {"name": "rows_1h", "aggregate": "count", "window": "1h"},
        {"name": "rows_1d", "aggregate": "count", "window": "1d"},
        {"name": "rows_30m", "aggregate": "count", "window": "30m"},
    ],
}
ROWS = 900  # more than a tile of 300 rows


def _run(folder: Path, spec: Mapping[str, Any], savepoint: str = "") -> tuple[dict[int, list[str]], str]:
    """Each printed row by number, and the savepoint's path."""
    written = folder / "spec.json"
    written.write_text(json.dumps(spec))
    more = [savepoint] if savepoint else []
    printed = run_script("upgrade_job.py", folder, written, folder, str(ROWS), *more)
    lines = [line.split(",") for line in re.findall(r"^\+I\[(.*)\]$", printed, re.MULTILINE)]
    return {int(line[0]): line[1:] for line in lines}, re.findall(r"^SAVEPOINT (\S+)$", printed, re.MULTILINE)[-1]


def _reference(spec: Mapping[str, Any], first: int, last: int) -> dict[int, dict[str, object]]:
    rolling = Rolling(spec)
    return {
        n: dict(rolling.process("k", {"n": n, "t": n * 1000, "x": n * 0.1, "id": str(n)}) or {})
        for n in range(first, last + 1)
    }


@pytest.mark.timeout(500)
def test_added_features_and_windows_keep_what_was_there(tmp_path: Path) -> None:
    before, savepoint = _run(tmp_path, BEFORE)
    after, _ = _run(tmp_path, AFTER, savepoint)

    last, first = max(before), min(after)
    assert last >= ROWS
    assert first == last + 1, "the source went on where it stopped"
    whole, anew = _reference(AFTER, 1, max(after)), _reference(AFTER, first, max(after))
    for n, (min_1h, sum_1h, rows_1h, rows_1d, rows_30m) in after.items():
        assert float(sum_1h) == whole[n]["sum_1h"], "a lane that was there goes on"
        assert int(rows_1h) == whole[n]["rows_1h"], "a lane that was there goes on, in another place"
        assert int(rows_30m) == whole[n]["rows_30m"], "a new window of a known ring sees the ring's tiles"
        assert float(min_1h) == anew[n]["min_1h"], "a new lane starts empty"
        assert int(rows_1d) == anew[n]["rows_1d"], "a new ring starts empty"

"""All sensors fall silent, and no watermark moves: the wall's time tells of it, and no sooner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from config.settings import ROOT
from tests.integration.flink_home import run_script

START = 1_760_000_000_000
MINUTE = 60_000


def taken(folder: Path, *steps: tuple[float, str]) -> list[dict[str, Any]]:
    """Take steps at minutes by the wall; return the alerts and the timer after each, in minutes."""
    file = folder / "steps.json"
    given = [[START + round(minute * MINUTE), what] for minute, what in steps]
    limits = str(ROOT / "config" / "sensors.yaml")
    file.write_text(json.dumps({"limits": limits, "steps": given}))
    said = run_script("wall_timer.py", file)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return [
        {
            "told": [(state, (when - START) / MINUTE) for state, when in one["told"]],
            "timer": one["timer"] and (one["timer"] - START) / MINUTE,
        }
        for one in lines
    ]


def test_when_nothing_of_any_sensor_comes_the_walls_time_tells_of_a_silence(tmp_path: Path) -> None:
    spoke, early, late, again = taken(
        tmp_path, (0, "speaks"), (9.9, "timer"), (10, "timer"), (12, "speaks")
    )
    assert spoke == {"told": [], "timer": 10.0}
    assert early == {"told": [], "timer": 10.0}, "it is not due"
    assert late["told"] == [("open", 10.0)]
    assert again["told"] == [("cleared", 12.0)]


def test_while_others_speak_the_walls_time_tells_of_nothing_and_looks_again(tmp_path: Path) -> None:
    steps = [(0, "speaks"), (4, "other"), (10, "timer"), (13.9, "timer"), (14, "timer")]
    *_, busy, early, late = taken(tmp_path, *steps)
    assert busy == {"told": [], "timer": 14.0}, "ten minutes after anything came"
    assert early == {"told": [], "timer": 14.0}
    assert late["told"] == [("open", 10.0)], "the same alert, whoever looks when"

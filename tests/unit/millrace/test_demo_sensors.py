"""What the demo of sensors counts and shows."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from config.settings import ROOT, Settings
from ingestion.sensors.limits_file import load
from millrace.demo.sensors import SILENT_S, Seen, _impatient, _page


def alert(state: str, message: str = "it is hot") -> dict[str, Any]:
    return {
        "alert_id": "s/1",
        "event_time": 1_764_486_000_000,
        "opened_at": None,
        "severity": "warning",
        "state": state,
        "message": message,
    }


def seen() -> Seen:
    found = Seen(sent=5)
    found.take("sensor-scores", {"findings": []})
    found.take("sensor-scores", {"findings": ["HIGH_TEMP", "TEMP_JUMP"]})
    found.take("sensor-scores", {"findings": ["HIGH_TEMP"]})
    found.take("rejected-readings", {"reasons": ["stale", "time"]})
    found.take("rejected-readings", {"reasons": ["stale"]})
    found.take("alerts", alert("open"))
    found.take("alerts", alert("cleared", "as usual [again]"))
    return found


def test_each_outcome_is_counted_where_it_belongs() -> None:
    assert seen().lines() == [
        "5 readings sent: 3 scored, 2 rejected",
        "rejected for: stale 2, time 1",
        "found: HIGH_TEMP 2, TEMP_JUMP 1",
        "alerts: 1 opened, 0 told of again, 1 cleared",
    ]
    assert seen().as_dict()["alerts"] == {"open": 1, "cleared": 1}
    assert "rejected for: -" in Seen().lines()


def test_the_page_shows_the_newest_alerts_as_they_are() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(_page(seen(), 7.4))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert shown.startswith("7 s")
    assert "warning  open       it is hot" in shown
    assert "as usual [again]" in shown


def test_its_limits_are_the_usual_ones_but_for_silence(tmp_path: Path) -> None:
    file = _impatient(Settings(state_dir=tmp_path / "state"))
    usual = load(ROOT / "config" / "sensors.yaml")
    found = load(file)
    assert found.of("default") == replace(usual.of("default"), silent_s=SILENT_S)
    assert found.of("payment") == usual.of("payment")
    assert found.assets == usual.assets

"""Limits that change while they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import UserError
from config.files import write
from ingestion.sensors.limits_file import LimitsFile, load


def text(most: float) -> str:
    return f"types: {{default: {{ranges: {{value: [0, {most}]}}}}}}"


def test_a_change_is_taken_up_after_two_seconds_and_a_mistake_is_not(tmp_path: Path) -> None:
    path, now = tmp_path / "limits.yaml", 100.0
    write(path, text(1))
    file = LimitsFile(path, lambda: now)

    def most() -> float:
        return file.limits.of("default").ranges["value"].high

    write(path, text(2))
    assert most() == 1
    now += 2
    assert most() == 2
    for wrong in ("types: [", "types: {default: {ranges: {value: [3, 0]}}}", ""):
        write(path, wrong)
        now += 2
        assert most() == 2
    path.unlink()
    now += 2
    assert most() == 2
    write(path, text(4))
    now += 2
    assert most() == 4


def test_without_limits_there_is_no_beginning(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml"):
        load(tmp_path / "none.yaml")
    write(tmp_path / "bad.yaml", "types: {default: {fresh_s: soon}}")
    with pytest.raises(UserError, match=r"bad\.yaml: types\.default\.fresh_s: 'soon' is no number"):
        load(tmp_path / "bad.yaml")

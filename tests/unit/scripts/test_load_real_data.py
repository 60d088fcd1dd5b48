"""`scripts/load_real_data.py` says what `millrace replay` it stands for."""

from __future__ import annotations

import pytest

from scripts.load_real_data import SOURCES, command


def test_the_options_become_those_of_replay() -> None:
    line = "--source retail_rocket --csv e.csv --events 10 --speed x10 --item-properties p.csv"

    expected = "replay retail-rocket e.csv --speed x10 --events 10 --item-properties p.csv"
    assert command(line.split()) == expected.split()


def test_without_more_all_events_go_as_fast_as_they_can() -> None:
    line = "--source olist --csv folder"

    assert command(line.split()) == ["replay", "olist", "folder", "--speed", "max"]


def test_every_source_of_payments_and_of_the_shop_is_a_command_of_replay() -> None:
    from millrace.cli.replay import app

    known = {one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands}
    assert set(SOURCES.values()) == known - {"sensors", "sensor-metadata", "outside"}


def test_another_source_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command(["--source", "kaggle", "--csv", "e.csv"])

    assert caught.value.code == 2
    assert "invalid choice: 'kaggle'" in capsys.readouterr().err

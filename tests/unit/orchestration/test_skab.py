"""SKAB's files, its rates by hand, and the command."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.errors import UserError
from config.logging import for_command
from config.settings import ROOT, Settings
from millrace.cli.evaluate import app
from orchestration.anomalies.evaluation import many_methods, on_skab
from orchestration.anomalies.skab import TRAINING, Recording, rates, read

runner = CliRunner()
REAL = ROOT.parent / "shared" / "data" / "skab"
HEAD = "datetime;Current;Flow;anomaly;changepoint\n"


@pytest.fixture(autouse=True)
def _logs_to_stderr() -> None:
    for_command(Settings())


def text(rows: int, broken: range, seed: int = 1) -> str:
    rng = random.Random(seed)
    lines = [
        f"2026-01-01 00:{at // 60:02}:{at % 60:02};{rng.gauss(1.0, 0.1)};"
        f"{rng.gauss(30.0, 1.0) + (9.0 if at in broken else 0.0)};{float(at in broken)};0.0\n"
        for at in range(rows)
    ]
    return HEAD + "".join(lines)


def test_rates_by_hand() -> None:
    truth = [False] * (TRAINING + 5) + [True] * 5
    told = [True] * TRAINING + [True, False, False, False, False, False, True, True, True, False]
    recording = Recording("a", ("x",), ((0.0,),) * len(truth), tuple(truth))
    found = rates([(recording, told)])
    assert (found.rows, found.anomalous) == (10, 5)
    assert (found.false_alarm_rate, found.missed_alarm_rate) == (20.0, 40.0)
    assert found.f1 == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))
    every = rates([(recording, [True] * len(truth))] * 2)
    assert (every.f1, every.false_alarm_rate, every.missed_alarm_rate) == (2 / 3, 100.0, 0.0)


def test_reads_labelled_files_alone(tmp_path: Path) -> None:
    (tmp_path / "valve1").mkdir()
    (tmp_path / "valve1" / "0.csv").write_text(text(TRAINING + 2, range(401, 402)))
    (tmp_path / "free.csv").write_text("datetime;Current\n2026-01-01;1.0\n")
    (found,) = read(tmp_path)
    assert (found.name, found.channels) == ("valve1/0.csv", ("Current", "Flow"))
    assert found.anomalous == (False,) * 401 + (True,)
    assert {len(row) for row in found.rows} == {2}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (None, "is not SKAB's folder"),
        (text(TRAINING, range(0)), "400 rows; 400 are learnt"),
        (HEAD + "2026-01-01;1;x;0;0\n", "line 2: expected a number"),
        (HEAD + "2026-01-01;1;2\n", "line 2: expected a number"),
        (HEAD + "2026-01-01;1;inf;0;0\n", "line 2: expected finite"),
    ],
)
def test_what_is_malformed_is_refused(tmp_path: Path, written: str | None, said: str) -> None:
    if written is not None:
        (tmp_path / "0.csv").write_text(written)
    answer = runner.invoke(app, ["anomalies", "--format", "skab", "--data", str(tmp_path)])
    assert isinstance(answer.exception, UserError)
    assert said in str(answer.exception)


def test_the_command_measures_the_detectors_asked_for(tmp_path: Path) -> None:
    for name in range(2):
        (tmp_path / f"{name}.csv").write_text(text(700, range(550, 650), seed=name))
    given = ["anomalies", "--format", "skab", "--data", str(tmp_path)]
    asked = ("mewma", "t-squared", "ocsvm", "all-alarm")
    every = [*given, *(word for name in asked for word in ("--detector", name)), "--json"]
    told = json.loads(runner.invoke(app, every, catch_exceptions=False).stdout)
    assert (told["files"], told["rows"]) == (2, 1400)
    found = {one["detector"]: one for one in told["detectors"]}
    assert tuple(found) == asked
    assert found["all-alarm"]["total"]["f1"] == pytest.approx(2 * 200 / (2 * 200 + 400))
    assert found["mewma"]["total"]["f1"] > 0.8
    assert set(found["mewma"]["f1_by_file"]) == {"0.csv", "1.csv"}
    table = runner.invoke(app, [*given, "--only", "all-alarm"], catch_exceptions=False).stdout
    assert "all-alarm" in table


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/skab")
def test_the_published_recordings() -> None:
    total = on_skab(many_methods()["mewma"], read(REAL)).total
    assert total.f1 > 0.8
    assert total.false_alarm_rate < 15

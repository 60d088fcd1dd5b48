"""NAB's files, its score by hand and by a literal computation, and the command."""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.errors import UserError
from config.logging import for_command
from config.settings import ROOT, Settings
from millrace.cli.evaluate import app
from orchestration.anomalies import nab
from orchestration.anomalies.evaluation import methods, on_nab
from orchestration.anomalies.nab import PROFILES, Profile, Series, at, optimised, sigmoid, sweep

runner = CliRunner()
REAL = ROOT.parent / "shared" / "data" / "nab"
START = datetime(2026, 1, 1)


def series(rows: int, *windows: tuple[int, int], name: str = "a/b.csv") -> Series:
    moments = (START + timedelta(minutes=5 * row) for row in range(rows))
    return Series(name, tuple(map(str, moments)), (0.5,) * rows, windows)


def alarms(rows: int, *at: int) -> list[float]:
    return [1.0 if row in at else 0.0 for row in range(rows)]


def folder(root: Path, made: Sequence[Series]) -> Path:
    """Write a folder like NAB's."""
    labels = {}
    for one in made:
        file = root / "data" / one.name
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = zip(one.timestamps, one.values, strict=True)
        file.write_text("timestamp,value\n" + "".join(f"{when},{x!r}\n" for when, x in rows))
        spans = [[f"{one.timestamps[row]}.000000" for row in window] for window in one.windows]
        labels[one.name] = spans
    (root / "labels").mkdir()
    (root / "labels" / "combined_windows.json").write_text(json.dumps(labels))
    return root


@pytest.fixture(autouse=True)
def _logs_to_stderr() -> None:
    for_command(Settings())


class TestScore:
    def test_the_sigmoid_has_the_published_values(self) -> None:
        assert sigmoid(-1.0) == pytest.approx(0.98661, abs=1e-5)
        assert sigmoid(-0.5) == pytest.approx(0.84828, abs=1e-5)
        assert sigmoid(0.0) == 0.0
        assert sigmoid(1.0) == pytest.approx(-0.98661, abs=1e-5)
        assert sigmoid(3.01) == -1.0

    def test_by_hand(self) -> None:
        # Probation is rows 0 to 2. An alarm before any window costs .11 whole; row 12 is 3 of 5
        # rows before the end of the window, .905148 / .986614; row 16 is half a window behind it.
        found = at(sweep([(series(20, (10, 14)), alarms(20, 2, 5, 12, 13, 16))]), 1.0)
        raw = -0.11 + 0.917429 - 0.11 * 0.848284
        assert found.score == pytest.approx(100 * (raw + 1) / 2, abs=1e-4)
        assert (found.windows_hit, found.false_alarms) == (1, 2)

    def test_a_window_that_is_missed_costs_its_weight(self) -> None:
        scored = [(series(20, (4, 6), (10, 14)), alarms(20, 10))]
        assert at(sweep(scored), 1.0).score == 50.0
        low = at(sweep(scored, PROFILES["reward_low_FN_rate"]), 1.0).score
        assert low == pytest.approx(100 * (1 - 2 + 4) / (2 + 4))

    def test_the_earliest_alarm_of_each_window_is_perfect_and_silence_is_nothing(self) -> None:
        scored = [(series(20, (4, 6), (10, 14)), alarms(20, 4, 10))]
        assert at(sweep(scored), 1.0).score == pytest.approx(100.0)
        assert at(sweep(scored), nab.SURE).score == 0.0

    def test_the_probation_of_a_long_series_is_750_rows(self) -> None:
        assert (series(100).probation, series(5001).probation) == (15, 750)

    def test_the_best_threshold_is_the_highest_of_equals(self) -> None:
        scores = [0.0] * 20
        scores[10], scores[11], scores[12] = 0.9, 0.8, 0.8
        best = optimised(sweep([(series(20, (10, 14)), scores)]))
        assert best.threshold == 0.9
        assert best.score == pytest.approx(100.0)

    @pytest.mark.parametrize("seed", range(20))
    def test_equals_the_literal_computation_at_every_threshold(self, seed: int) -> None:
        rng = random.Random(seed)
        made = [
            series(60, (12, 12 + rng.randrange(2, 9)), (30, 30 + rng.randrange(1, 9)), name="a/a"),
            series(40, name="a/b"),
            series(50, (20, 29), name="a/c"),
        ]
        scored = [(one, [rng.randrange(12) / 12 for _ in one.values]) for one in made]
        for profile in PROFILES.values():
            totals = sweep(scored, profile)
            assert len(totals) == 13
            for total in totals:
                assert total.score == pytest.approx(literal(scored, profile, total.threshold))


def literal(
    scored: Sequence[tuple[Series, Sequence[float]]], profile: Profile, threshold: float
) -> float:
    """Return the score at one threshold, word by word from its description."""
    raw, windows = 0.0, 0
    for one, scores in scored:
        told = [
            row
            for row, score in enumerate(scores)
            if score >= threshold and row >= math.floor(0.15 * len(scores))
        ]
        for first, last in one.windows:
            windows += 1
            within = [row for row in told if first <= row <= last]
            if not within:
                raw -= profile.missed
                continue
            position = (min(within) - last - 1) / (last - first + 1)
            best = 2 / (1 + math.exp(-5)) - 1
            raw += profile.hit * (2 / (1 + math.exp(5 * position)) - 1) / best
        for row in told:
            if any(first <= row <= last for first, last in one.windows):
                continue
            ended = [(first, last) for first, last in one.windows if last < row]
            worth = -1.0
            if ended:
                first, last = max(ended)
                position = (row - last) / (last - first)
                worth = -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1
            raw += profile.false * worth
    return 100 * (raw + windows * profile.missed) / (windows * (profile.hit + profile.missed))


class TestFiles:
    def test_reads_what_is_there(self, tmp_path: Path) -> None:
        made = [series(30, (10, 14), name="x/one.csv"), series(20, name="y/two.csv")]
        assert nab.read(folder(tmp_path, made)) == made
        (tmp_path / "data" / "y" / "two.csv").unlink()
        assert nab.read(tmp_path) == made[:1]

    def test_results_are_what_its_own_scorer_reads(self, tmp_path: Path) -> None:
        one = series(5, (1, 2), name="x/one.csv")
        file = nab.write(tmp_path, "novelty", one, [0.0, 1 / 3, 0.5, 0.0, 0.25])
        assert file == tmp_path / "novelty" / "x" / "novelty_one.csv"
        with file.open() as lines:
            rows = list(csv.reader(lines))
        assert rows[0] == ["timestamp", "value", "anomaly_score", "label"]
        assert rows[2] == ["2026-01-01 00:05:00", "0.5", "0.3333333333333333", "1"]
        assert [row[3] for row in rows[1:]] == ["0", "1", "1", "0", "0"]
        with pytest.raises(ValueError, match="no underscore"):
            nab.write(tmp_path, "half_space", one, [0.0] * 5)

    @pytest.mark.parametrize(
        ("file", "text", "said"),
        [
            ("labels/combined_windows.json", "{", "expected file names with lists"),
            ("labels/combined_windows.json", '{"x/one.csv": [3]}', "expected file names"),
            ("labels/combined_windows.json", "{}", "holds none of the files"),
            ("data/x/one.csv", "timestamp,value\n2026-01-01,nan\n", "line 2: expected a timestamp"),
            ("data/x/one.csv", "timestamp,value\nyesterday,1\n", "line 2: expected a timestamp"),
            ("data/x/one.csv", "when,what\n2026-01-01,1\n", "line 2: expected a timestamp"),
            ("data/x/one.csv", "timestamp,value\n2026-01-01,1\n", "begins or ends at no row"),
        ],
    )
    def test_what_is_malformed_is_refused_with_its_place(
        self, tmp_path: Path, file: str, text: str, said: str
    ) -> None:
        folder(tmp_path, [series(30, (10, 14), name="x/one.csv")])
        (tmp_path / file).write_text(text)
        with pytest.raises(UserError, match=said):
            nab.read(tmp_path)


class TestCommand:
    @pytest.mark.slow
    def test_json_has_every_detector(self, tmp_path: Path) -> None:
        rng = random.Random(4)
        values = [rng.gauss(0.0, 1.0) for _ in range(400)]
        values[300] = 60.0
        one = series(400, (295, 310), name="x/one.csv")
        made = Series(one.name, one.timestamps, tuple(values), one.windows)
        data, results = folder(tmp_path / "nab", [made]), tmp_path / "results"
        given = ["anomalies", "--format", "nab", "--data", str(data), "--results", str(results)]
        told = json.loads(runner.invoke(app, [*given, "--json"], catch_exceptions=False).stdout)
        assert (told["series"], told["readings"], told["windows"]) == (1, 400, 1)
        found = {one["detector"]: one for one in told["detectors"]}
        assert list(found) == list(methods())
        assert found["novelty"]["fixed"]["standard"]["windows_hit"] == 1
        assert found["novelty"]["fixed"]["standard"]["score"] > 90
        assert found["null"]["optimised"]["standard"]["score"] == 0
        for name in found:
            assert len((results / name / "x" / f"{name}_one.csv").read_text().split()) > 800
        table = runner.invoke(app, [*given, "--only", "null"], catch_exceptions=False).stdout
        assert "null" in table
        assert "novelty" not in table

    def test_data_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        for more, said in (
            (["--data", str(tmp_path)], "is not NAB's folder"),
            (["--data", str(tmp_path), "--only", "oracle"], "no detector 'oracle'"),
        ):
            answer = runner.invoke(app, ["anomalies", "--format", "nab", *more])
            assert isinstance(answer.exception, UserError)
            assert said in str(answer.exception)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/nab")
def test_the_published_series() -> None:
    figures = on_nab(methods()["novelty"], nab.read(REAL))
    assert figures.optimised["standard"].score > 79
    assert figures.fixed["standard"].score > 78

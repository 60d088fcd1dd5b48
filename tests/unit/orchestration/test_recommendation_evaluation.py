"""Files of sessions, splits, figures and the command."""

from __future__ import annotations

import gzip
import json
from itertools import count
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.errors import UserError
from config.logging import for_command
from config.settings import Settings
from millrace.cli.evaluate import app
from orchestration.recommendations.baselines import Popular, Rules, Together
from orchestration.recommendations.evaluation import measure
from orchestration.recommendations.sessions import Log, read, split

runner = CliRunner()
LINES = "1 2 1\n3 4\n1 2\n2 3 4 1\n"
SESSIONS = [["1", "2", "1"], ["3", "4"], ["1", "2"], ["2", "3", "4", "1"]]


def written(path: Path, text: str, *, zipped: bool = False) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    return path


@pytest.mark.parametrize("zipped", [False, True])
def test_one_session_a_line(tmp_path: Path, *, zipped: bool) -> None:
    assert read(written(tmp_path / "s", LINES, zipped=zipped)).sessions == SESSIONS


def test_rows_of_sessions_in_any_order(tmp_path: Path) -> None:
    rows = "SessionId\tItemId\tTime\tx\n9\tb\t30\t0\n7\ta\t5\t0\n9\ta\t20.5\t0\n7\tc\t40\t0\n"
    assert read(written(tmp_path / "s", rows)).sessions == [["a", "c"], ["a", "b"]]
    dated = "SessionId\tItemId\tTime\n1\tb\t2026-05-01T00:00:02Z\n1\ta\t2026-05-01T00:00:01.5Z\n"
    assert read(written(tmp_path / "s", dated)).sessions == [["a", "b"]]


@pytest.mark.parametrize(
    "text",
    ["1 2\t3\n4\t5\n", '[["1","2"], "3"]\n[[4], 5]\n', '{"prefix": [1,2], "next": 3}\n[[4],5]'],
)
def test_questions(tmp_path: Path, text: str) -> None:
    assert read(written(tmp_path / "q", text)).questions == [(["1", "2"], "3"), (["4"], "5")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line is empty"),
        ("1 2\t3\n4\n", "line 2: expected a prefix"),
        ("[1]\n", r"line 1: expected \[\[prefix\]"),
        ("SessionId\tItemId\tTime\n1\t2\tyesterday\n", "Time must be a number or ISO 8601"),
        ("SessionId\tItemId\tTime\n1\t\t3\n", "every row needs"),
    ],
)
def test_files_that_are_not_sessions(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(written(tmp_path / "s", text))


def test_splits_keep_the_order_of_time() -> None:
    log = Log([[str(one)] for one in range(20)])
    before, after = split(log, "last:0.1")
    assert (len(before.sessions), after.sessions) == (18, [["18"], ["19"]])
    before, after = split(log, "0.8:0.9")
    assert (len(before.sessions), after.sessions) == (16, [["16"], ["17"]])
    for wrong in ("first:0.1", "0.1", "last:1.5", "0.9:0.8", "last:0.001"):
        with pytest.raises(UserError, match="--split"):
            split(log, wrong)


def test_every_prefix_is_a_question() -> None:
    asked = [question for question, _ in Log(SESSIONS[:2]).asked()]
    assert asked == [(["1"], "2"), (["1", "2"], "1"), (["3"], "4")]
    assert len(Log(SESSIONS)) == 7


class Told:
    """Answers as it was told, and remembers what it learnt."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.learnt = [["?"], *answers], list[list[str]]()

    def learn(self, session: list[str]) -> None:
        self.learnt.append(session)

    def answer(self, prefix: list[str], limit: int) -> list[str]:
        return self.answers.pop(0)


def test_figures_by_hand() -> None:
    method = Told(["2", "9"], ["x", "1"], ["1"])
    ticks = count(0, 1000)
    found = measure("told", method, Log(SESSIONS), Log(SESSIONS[:2]), clock=lambda: next(ticks))
    assert found.questions == 3
    assert found.hit_rate == pytest.approx(2 / 3)
    assert found.reciprocal_rank == pytest.approx((1 + 1 / 2) / 3)
    assert found.coverage == pytest.approx(2 / 4)  # 1 and 2 of 1, 2, 3 and 4
    assert (found.p50_us, found.p99_us) == (1, 1)
    assert method.learnt == SESSIONS


def test_online_a_session_is_learnt_after_its_last_question() -> None:
    method = Told([], [], [])
    measure("told", method, Log(), Log(SESSIONS[:2]), online=True)
    assert method.learnt == SESSIONS[:2]


def test_rules_of_thumb() -> None:
    popular, rules, together = Popular(), Rules(), Together()
    for session in SESSIONS:
        for method in (popular, rules, together):
            method.learn(session)
    assert list(popular.answer(["9"], 2)) == ["1", "2"]
    assert list(rules.answer(["9", "2"], 3)) == ["1", "3"]
    assert list(together.answer(["4"], 4)) == ["3", "4", "2", "1"]
    assert list(rules.answer(["9"], 3)) == list(together.answer(["9"], 3)) == []


# The command


@pytest.fixture(autouse=True)
def _logs_to_stderr() -> None:
    for_command(Settings())


@pytest.mark.slow
def test_the_command_measures_all_methods_alike(tmp_path: Path) -> None:
    data = written(tmp_path / "s.gz", LINES * 30, zipped=True)
    given = ["recommendations", "--train", str(data), "--split", "last:0.25", "--json"]
    answer = json.loads(runner.invoke(app, given, catch_exceptions=False).stdout)
    assert (answer["sessions"], answer["questions"]) == (90, 53)
    by_name = {one["method"]: one for one in answer["methods"]}
    assert {"millrace", "popularity", "co-occurrence", "first-order rules", "STAN"} <= set(by_name)
    assert all(one["hit_rate"] == 1 for name, one in by_name.items() if name == "millrace")
    assert all(one["questions"] == 53 for one in by_name.values())


def test_questions_as_a_test_and_a_table_for_people(tmp_path: Path) -> None:
    data = written(tmp_path / "s", LINES)
    asked = written(tmp_path / "q", "3\t4\n")
    given = ["recommendations", "--train", str(data), "--test", str(asked), "--only", "STAN"]
    answer = runner.invoke(app, given, catch_exceptions=False)
    assert "STAN" in answer.stdout
    assert "1.0000" in answer.stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "either --test FILE or --split"),
        (["--split", "last:0.25", "--only", "magic"], "no method 'magic'; there are: millrace"),
        (["--split", "last:7"], "--split last:7"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path: Path, more: list[str], said: str) -> None:
    data = written(tmp_path / "s", LINES)
    answer = runner.invoke(app, ["recommendations", "--train", str(data), *more])
    assert isinstance(answer.exception, UserError)
    assert said in str(answer.exception)

"""Decisions at operating points, against pandas and scikit-learn written out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import typer
from sklearn.metrics import precision_recall_curve, precision_score, recall_score
from typer.testing import CliRunner

from config.errors import UserError
from config.logging import for_command
from config.settings import Settings
from millrace.cli.evaluate import app as evaluate
from millrace.cli.simulate import register
from orchestration.fraud import operating
from orchestration.fraud.bound import known
from orchestration.fraud.operating import Counted, Decided, by_card, operate, points
from orchestration.fraud.protocol import Fold, Rows
from orchestration.fraud.sources import handbook
from orchestration.fraud.train import Data
from orchestration.training.frame import Floats, Frame
from orchestration.training.metrics import DAY_MS

START = 1_522_540_800_000  # 2018-04-01
millrace = typer.Typer()
register(millrace)
OPTIONS = ("--customers", "200", "--terminals", "400", "--days", "32", "--strikes", "3")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulated") / "payments.parquet"
    for_command(Settings())
    result = CliRunner().invoke(
        millrace, ["simulate", "payments", str(path), *OPTIONS, "--seed", "3"]
    )
    assert result.exit_code == 0, result.output
    return path


def read(file: Path) -> pd.DataFrame:
    frame = pd.read_parquet(file)
    frame["day"] = (frame.TX_DATETIME - pd.Timestamp("2018-04-01")).dt.days
    return frame


def held_out(frame: pd.DataFrame, start: int) -> pd.DataFrame:
    """The test week of a fold that starts on day `start`, by the Handbook's code."""
    train = frame[(frame.day >= start) & (frame.day < start + 7)]
    known = set(train[train.TX_FRAUD == 1].CUSTOMER_ID)
    days = []
    for day in range(7):
        judged = frame[frame.day == start + 7 + day - 1]
        known |= set(judged[judged.TX_FRAUD == 1].CUSTOMER_ID)
        today = frame[frame.day == start + 14 + day]
        days.append(today[~today.CUSTOMER_ID.isin(known)])
    return pd.concat(days)


def cards(frame: pd.DataFrame) -> tuple[list[bool], list[bool]]:
    """Which card-days are fraud and which are flagged, found cards left out of later days."""
    found: set[str] = set()
    truth, called = [], []
    for day in sorted(frame.day.unique()):
        today = frame[(frame.day == day) & ~frame.CUSTOMER_ID.isin(found)]
        by = today.groupby("CUSTOMER_ID")[["TX_FRAUD", "flagged"]].max()
        truth += list(by.TX_FRAUD == 1)
        called += list(by.flagged)
        found |= set(by[(by.TX_FRAUD == 1) & by.flagged].index)
    return truth, called


@pytest.fixture(autouse=True)
def amounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the features, which the reference engine would take a minute to compute."""

    def framed(data: Data, progress: object, kernel: object) -> tuple[Frame, operating.Ints]:
        given = data.payments
        frame = Frame(
            ("amount",),
            given.numbers("amount").reshape(-1, 1),
            given.numbers("is_fraud"),
            given.numbers("event_time"),
            given.texts("customer_id"),
        )
        return frame, np.arange(len(frame))

    monkeypatch.setattr(operating, "framed", framed)


def by_amount(frame: Frame, seed: int) -> Callable[[Floats], Floats]:
    """Stand in for the model: the score is the amount."""
    return lambda x: np.minimum(x[:, 0] / 1000.0, 1.0)


def test_every_figure_of_a_fold(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operating, "fit", by_amount)
    data, frame = handbook(file), read(file)
    scenario = frame.TX_FRAUD_SCENARIO.to_numpy()
    times = frame.TX_DATETIME.to_numpy("datetime64[ms]").astype(np.int64)
    can = known(times, frame.TERMINAL_ID.to_numpy(str), scenario, 7 * DAY_MS)
    found = operate(data, [START + 10 * DAY_MS], knowable=can)
    frame["score"], frame["can"] = np.minimum(frame.TX_AMOUNT / 1000.0, 1.0), can
    week, test = frame[(frame.day >= 10) & (frame.day < 17)], held_out(frame, 10)
    precision, _, levels = precision_recall_curve(week.TX_FRAUD, week.score)
    for name, target in (("block", 0.9), ("set", 0.94)):
        least = min(levels[precision[:-1] >= target])
        assert found.thresholds[0][name] == pytest.approx(least)
    for name, decided in found.decided[0].items():
        least = found.thresholds[0].get(name, np.nan)
        test["flagged"] = test.can if name == "bound" else test.score >= least
        for counted, (truth, called) in (
            (decided.payment, (test.TX_FRAUD, test.flagged)),
            (decided.card, cards(test)),
        ):
            assert counted.flagged > 0
            assert counted.precision == pytest.approx(precision_score(truth, called))
            assert counted.recall == pytest.approx(recall_score(truth, called))
    assert found.total() == found.decided[0]


def test_the_best_recall_at_a_precision_in_hindsight() -> None:
    random = np.random.default_rng(3)
    y, seen = random.random(4000) < 0.05, random.random(4000) < 0.05
    scores = np.asarray(np.clip(random.normal(0.25 + 0.35 * y, 0.12), 0, 1).round(3), np.float64)
    earlier = np.clip(random.normal(0.25 + 0.35 * seen, 0.12), 0, 1)
    chosen = points(earlier, seen, scores, y)
    precision, recall, _ = precision_recall_curve(y, scores)
    flagged = scores >= chosen["hindsight"]
    assert Decided.of(_frame(y), flagged).payment.recall == max(recall[precision >= 0.94])
    assert chosen["review"] <= chosen["block"] <= chosen["set"]
    other = points(earlier, seen, scores, ~y)
    assert [other[name] for name in ("block", "review", "set")] == [
        chosen[name] for name in ("block", "review", "set")
    ]


def _frame(y: npt.NDArray[np.bool_]) -> Frame:
    return Frame(("x",), np.zeros((len(y), 1)), y, np.full(len(y), START), np.full(len(y), "c"))


def test_cards_are_counted_by_day_until_they_are_found() -> None:
    day = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    card = np.array(["a", "a", "b", "a", "b", "c", "b", "c"])
    fraud = np.array([True, False, True, True, True, False, True, False])
    flagged = np.array([False, True, False, True, True, True, True, False])
    frame = Frame(("x",), np.zeros((8, 1)), fraud, START + day * DAY_MS, card)
    # Day 0: a found, b missed. Day 1: a is gone, b found, c flagged in vain. Day 2: b is gone.
    assert by_card(frame, flagged) == Counted(flagged=3, frauds=3, hits=2)
    assert Counted().precision is None
    assert Counted().recall is None


def test_thresholds_need_time_before_the_week_that_they_are_chosen_on() -> None:
    time = START + np.arange(30) * DAY_MS
    rows = Rows(time, np.full(30, "c"), np.arange(30) % 2 == 0)
    assert operating.earlier(Fold(START + 10 * DAY_MS), rows).tolist() == [0, 1, 2]
    with pytest.raises(UserError, match="0 frauds among 0 payments"):
        operating.earlier(Fold(START + 3 * DAY_MS), rows)


@pytest.mark.slow  # trains
def test_the_command(file: Path) -> None:
    options = ["fraud", "--data", str(file), "--train-start", "2018-04-12", "--operating-points"]
    result = CliRunner().invoke(evaluate, [*options, "--bound", "--label-delay", "1d", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["label_delay_days"] == 1
    assert set(document["points"]) == {*operating.POINTS, "bound"}
    bound = document["points"]["bound"]["payment"]
    assert bound["precision"] == 1
    assert document["calibration"]["bins"][0]["rows"] > 0
    assert 0 < bound["hits"] < bound["frauds"]
    shown = CliRunner().invoke(evaluate, options)
    assert "hindsight" in shown.stdout
    for wrong in (["--label-delay", "8d", "--operating-points"], ["--label-delay", "1d"]):
        refused = CliRunner().invoke(evaluate, ["fraud", "--data", str(file), *wrong])
        assert isinstance(refused.exception, UserError)


def test_the_written_file_holds_the_truth_and_is_not_replaced_unasked(
    file: Path, tmp_path: Path
) -> None:
    frame = read(file)
    assert ((frame.TX_FRAUD_SCENARIO > 0) == frame.TX_FRAUD).all()
    assert frame.TX_FRAUD.sum() > 0
    assert (frame.TX_AMOUNT > 220)[frame.TX_FRAUD_SCENARIO == 1].all()
    text = tmp_path / "payments.csv"
    made = ["simulate", "payments", str(text), *OPTIONS, "--seed", "3"]
    assert CliRunner().invoke(millrace, made).exit_code == 0
    assert handbook(text).payments.table.equals(handbook(file).payments.table)
    assert isinstance(CliRunner().invoke(millrace, made).exception, UserError)
    assert CliRunner().invoke(millrace, [*made, "--overwrite"]).exit_code == 0
    wrong = CliRunner().invoke(millrace, ["simulate", "payments", str(tmp_path / "p.txt")])
    assert isinstance(wrong.exception, UserError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["payments.csv"]

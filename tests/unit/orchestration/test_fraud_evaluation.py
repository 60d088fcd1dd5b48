"""The Handbook's protocol, features and metrics, against its own code written out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from typer.testing import CliRunner

from config.errors import UserError
from config.logging import for_command
from config.settings import Settings
from ingestion.fraud.simulator import Strikes, simulation
from millrace.cli.evaluate import app
from millrace.stack import batch
from orchestration.fraud import published
from orchestration.fraud.bound import known
from orchestration.fraud.evaluation import table_of
from orchestration.fraud.protocol import Fold, Rows, folds, parts
from orchestration.fraud.sources import handbook
from orchestration.fraud.train import Data
from orchestration.training.frame import Frame
from orchestration.training.metrics import DAY_MS, ranked

START = 1_522_540_800_000  # 2018-04-01


def payments(days: int = 24, customers: int = 50, seed: int = 4) -> pd.DataFrame:
    """Payments of the simulator in the columns of the Handbook."""
    strikes = Strikes.of(customers, 2 * customers, 80.0)
    radius = 5.0 * (10_000 / (2 * customers)) ** 0.5
    simulator = simulation(
        seed, customers=customers, terminals=2 * customers, radius=radius, strikes=strikes
    )
    rows = [one for _ in range(days) for one in simulator.day()]
    frame = pd.DataFrame(
        {
            "TRANSACTION_ID": np.arange(len(rows)),
            "TX_DATETIME": pd.to_datetime([one.transaction.event_time for one in rows], unit="ms"),
            "CUSTOMER_ID": [one.transaction.customer_id for one in rows],
            "TERMINAL_ID": [one.transaction.terminal_id for one in rows],
            "TX_AMOUNT": [one.transaction.amount for one in rows],
            "TX_FRAUD": [int(one.is_fraud) for one in rows],
            "TX_FRAUD_SCENARIO": [one.scenario for one in rows],
        }
    )
    first = frame.TX_DATETIME.min().normalize()
    frame["TX_TIME_DAYS"] = (frame.TX_DATETIME - first).dt.days
    return frame


PAYMENTS = payments()


def times(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    return np.asarray(frame.TX_DATETIME.to_numpy("datetime64[ms]").astype(np.int64))


def rows_of(frame: pd.DataFrame) -> Rows:
    return Rows(times(frame), frame.CUSTOMER_ID.to_numpy(str), frame.TX_FRAUD.to_numpy(bool))


def by_the_book(frame: pd.DataFrame, start_day: int) -> tuple[list[int], list[int]]:
    """`get_train_test_set` of the Handbook, for days counted from the first."""
    train = frame[(start_day <= frame.TX_TIME_DAYS) & (start_day + 7 > frame.TX_TIME_DAYS)]
    known = set(train[train.TX_FRAUD == 1].CUSTOMER_ID)
    test = []
    for day in range(7):
        today = frame[start_day + 14 + day == frame.TX_TIME_DAYS]
        judged = frame[start_day + 7 + day - 1 == frame.TX_TIME_DAYS]
        known |= set(judged[judged.TX_FRAUD == 1].CUSTOMER_ID)
        test.append(today[~today.CUSTOMER_ID.isin(known)])
    return list(train.TRANSACTION_ID), list(pd.concat(test).TRANSACTION_ID)


@pytest.mark.parametrize("start_day", [0, 2, 3])
def test_a_fold_holds_the_payments_of_the_handbooks(start_day: int) -> None:
    found = parts(Fold(START + start_day * DAY_MS), rows_of(PAYMENTS))
    train, test = by_the_book(PAYMENTS, start_day)
    assert (found.train.tolist(), found.test.tolist()) == (train, test)
    assert found.dropped > 0
    assert found.known.tolist() == list(range(train[-1] + 1))


def test_folds_are_the_last_four_weeks_or_those_named() -> None:
    time = np.arange(START + 5000, START + 60 * DAY_MS, 3_600_000)
    days = [(one.start - START) // DAY_MS for one in folds(time)]
    assert days == [18, 25, 32, 39]
    assert folds(time, [START])[0].test_end == START + 21 * DAY_MS
    for wrong in (START - DAY_MS, START + 40 * DAY_MS):
        with pytest.raises(UserError, match="is not in the data"):
            folds(time, [wrong])
    with pytest.raises(UserError, match="a fold takes 21"):
        folds(time[:100])
    with pytest.raises(UserError, match="midnight"):
        Fold(START + 1)


@pytest.mark.slow
def test_the_handbooks_features_by_its_own_code() -> None:
    frame = PAYMENTS.copy()
    found = published.features(
        times(frame),
        frame.CUSTOMER_ID.to_numpy(str),
        frame.TERMINAL_ID.to_numpy(str),
        frame.TX_AMOUNT.to_numpy(float),
        frame.TX_FRAUD.to_numpy(bool),
    )
    frame["TX_DURING_WEEKEND"] = (frame.TX_DATETIME.dt.day_of_week >= 5).astype(int)
    frame["TX_DURING_NIGHT"] = (frame.TX_DATETIME.dt.hour <= 6).astype(int)
    parts = []
    for _, one in frame.groupby("CUSTOMER_ID"):
        one = one.sort_values("TX_DATETIME").set_index("TX_DATETIME", drop=False)
        for days in (1, 7, 30):
            total = one.TX_AMOUNT.rolling(f"{days}D").sum()
            count = one.TX_AMOUNT.rolling(f"{days}D").count()
            one[f"CUSTOMER_ID_NB_TX_{days}DAY_WINDOW"] = count
            one[f"CUSTOMER_ID_AVG_AMOUNT_{days}DAY_WINDOW"] = total / count
        parts.append(one)
    frame = pd.concat(parts).reset_index(drop=True)
    parts = []
    for _, one in frame.groupby("TERMINAL_ID"):
        one = one.sort_values("TX_DATETIME").set_index("TX_DATETIME", drop=False)
        frauds, count = one.TX_FRAUD.rolling("7D").sum(), one.TX_FRAUD.rolling("7D").count()
        for days in (1, 7, 30):
            all_frauds = one.TX_FRAUD.rolling(f"{7 + days}D").sum()
            all_count = one.TX_FRAUD.rolling(f"{7 + days}D").count()
            one[f"TERMINAL_ID_NB_TX_{days}DAY_WINDOW"] = all_count - count
            one[f"TERMINAL_ID_RISK_{days}DAY_WINDOW"] = (
                (all_frauds - frauds) / (all_count - count)
            ).fillna(0)
        parts.append(one)
    literal = pd.concat(parts).sort_values("TRANSACTION_ID")[[*published.NAMES]]
    np.testing.assert_allclose(found, literal.to_numpy(float), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
def test_card_precision_by_the_handbooks_code() -> None:
    scores = np.random.default_rng(1).random(len(PAYMENTS)) + 0.5 * PAYMENTS.TX_FRAUD.to_numpy()
    frame = Frame(
        ("x",),
        np.zeros((len(PAYMENTS), 1)),
        PAYMENTS.TX_FRAUD.to_numpy(bool),
        times(PAYMENTS),
        PAYMENTS.CUSTOMER_ID.to_numpy(str),
    )
    predicted = PAYMENTS.assign(predictions=scores)
    found: list[str] = []
    precisions = []
    for day in sorted(predicted.TX_TIME_DAYS.unique()):
        today = predicted[day == predicted.TX_TIME_DAYS][["predictions", "CUSTOMER_ID", "TX_FRAUD"]]
        today = today[~today.CUSTOMER_ID.isin(found)]
        best = today.groupby("CUSTOMER_ID").max().sort_values(by="predictions", ascending=False)
        top = best.reset_index().head(100)
        hits = list(top[top.TX_FRAUD == 1].CUSTOMER_ID)
        precisions.append(len(hits) / 100)
        found += hits
    assert ranked(frame, scores)["card_precision_100"] == pytest.approx(np.mean(precisions))


@pytest.mark.parametrize("levels", [5, 10**9])
def test_auc_and_average_precision_by_their_definitions(levels: int) -> None:
    """Mann and Whitney's statistic; the precision at each score, by the recall it adds."""
    random = np.random.default_rng(2)
    fraud = random.random(300) < 0.1
    scores = np.floor((random.random(300) + 0.4 * fraud) * levels)
    frame = Frame(("x",), np.zeros((300, 1)), fraud, np.full(300, START), np.full(300, "c"))
    pairs = [
        1.0 if one > other else 0.5 if one == other else 0.0
        for one in scores[fraud]
        for other in scores[~fraud]
    ]
    precision, before = 0.0, 0
    for threshold in sorted(set(scores), reverse=True):
        called = [hit for hit, score in zip(fraud, scores, strict=True) if score >= threshold]
        hits = sum(called)
        precision += (hits - before) / sum(fraud) * hits / len(called)
        before = hits
    found = ranked(frame, scores)
    assert found["roc_auc"] == pytest.approx(sum(pairs) / len(pairs), rel=1e-12)
    assert found["average_precision"] == pytest.approx(precision, rel=1e-12)


def test_what_can_be_known_of_a_compromised_terminal() -> None:
    day = np.array([0, 3, 7, 20, 28, 34, 41, 41, 41])
    scenario = np.array([2, 2, 2, 2, 2, 2, 2, 1, 3])
    terminal = np.array(["a"] * 6 + ["b"] * 3)
    found = known(day * DAY_MS, terminal, scenario, 7 * DAY_MS)
    assert found.tolist() == [False, False, True, True, True, True, False, True, True]


def data_of(frame: pd.DataFrame, tmp_path: Path, name: str = "p.parquet") -> Data:
    frame.to_parquet(tmp_path / name, index=False)
    return handbook(tmp_path / name)


@pytest.mark.slow  # computes features by the reference engine, and trains
def test_nothing_that_was_not_known_changes_a_score(tmp_path: Path) -> None:
    few = payments(customers=8)
    data = data_of(few, tmp_path)
    later = few.copy()
    test_start = pd.Timestamp("2018-04-17")  # of the fold from 3 April
    later.loc[test_start <= later.TX_DATETIME, "TX_FRAUD"] ^= 1
    cut = few[test_start + pd.Timedelta(days=3) > few.TX_DATETIME]
    tables = [
        table_of(one, lambda _: None, None)
        for one in (
            data,
            data_of(later, tmp_path, "l.parquet"),
            data_of(cut, tmp_path, "c.parquet"),
        )
    ]
    end = test_start + pd.Timedelta(days=7)
    until = int((end > few.TX_DATETIME).sum())
    for kind in ("ours", "handbook"):
        whole, flipped, short = (getattr(table, kind).x for table in tables)
        np.testing.assert_array_equal(whole[:until], flipped[:until])
        np.testing.assert_array_equal(whole[: len(cut)], short)


@pytest.mark.slow
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(layout: object) -> tuple[str, ...]:
        raise UserError("no Java found")

    monkeypatch.setattr(batch, "command", missing)
    for_command(Settings())
    some = payments(customers=25)
    daily = tmp_path / "daily"
    daily.mkdir()
    for day, frame in some.groupby("TX_TIME_DAYS"):
        kept = frame.drop(columns="TX_TIME_DAYS")
        if day % 2:
            kept.to_csv(daily / f"{day:02}.csv", index=False)
        else:
            kept.to_parquet(daily / f"{day:02}.parquet", index=False)
    options = ["fraud", "--data", str(daily), "--train-start", "2018-04-03"]
    result = CliRunner().invoke(app, [*options, "--bound", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["payments"] == len(some)
    assert document["folds"][0]["test_start"] == "2018-04-17T00:00:00.000Z"
    methods = {"millrace", "logistic-regression", "xgboost"}
    assert set(document["tables"]["known"]) == methods
    assert set(document["tables"]["week"]) == methods | {"random-forest"}
    bound, ours = document["bound"]["mean"], document["tables"]["week"]["millrace"]["mean"]
    assert bound["roc_auc"] > ours["roc_auc"] > 0.6
    shown = CliRunner().invoke(app, options)
    assert "random-forest" in shown.stdout
    wrong = CliRunner().invoke(app, [*options[:-1], "yesterday"])
    assert isinstance(wrong.exception, UserError)

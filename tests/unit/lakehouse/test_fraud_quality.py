"""The quality of decisions by day, beside scikit-learn, as verdicts come late and are corrected."""

from __future__ import annotations

import json
import math
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from prometheus_client import generate_latest
from pyiceberg.catalog import Catalog
from sklearn.metrics import average_precision_score, precision_score, recall_score
from typer.testing import CliRunner

from config.errors import UserError
from config.settings import Settings, settings
from lakehouse.catalog import catalog
from lakehouse.fraud.quality import DAYS, by_day, pooled
from lakehouse.fraud.watch import Watch
from lakehouse.query import connect
from millrace.cli.main import build
from orchestration.training.metrics import reliability
from tests.unit.lakehouse.lakes import EPOCH, append, bronze, lake

pytestmark = pytest.mark.filterwarnings("ignore:Parquet writer option")
DAY = timedelta(days=1)
Row = dict[str, Any]


def _decision(score: float) -> str:
    return "block" if score >= 0.7 else "review" if score >= 0.5 else "approve"


def _scores(days: int = 4, a_day: int = 60, seed: int = 3) -> list[Row]:
    """Scores with ties, so that those of equal value have to be taken together."""
    rng = random.Random(seed)
    return [
        {
            "transaction_id": f"t{day}-{at}",
            "event_time": EPOCH.replace(hour=0) + day * DAY + timedelta(minutes=20 * at),
            "score": round(rng.random(), 1) if at % 2 else rng.random(),
            "model_version": "m1" if day < 2 or at % 2 else "m2",
        }
        for day in range(days)
        for at in range(a_day)
    ]


def _decided(rows: list[Row]) -> list[Row]:
    return [{**row, "decision": _decision(row["score"])} for row in rows]


def _verdict(row: Row, days: float, *, fraud: bool) -> Row:
    return {
        "transaction_id": row["transaction_id"],
        "event_time": row["event_time"] + days * DAY,
        "is_fraud": fraud,
    }


class Payments:
    """A lake with scores and verdicts, and the same in plain Python."""

    def __init__(self, of: Catalog) -> None:
        self.lake = of
        self.scores = bronze(of, "fraud_scores", "FraudScore")
        self.labels = bronze(of, "fraud_labels", "FraudLabel")
        self.rows: dict[str, Row] = {}
        self.known: dict[str, tuple[datetime, bool]] = {}

    def score(self, rows: list[Row]) -> None:
        append(self.scores, "fraud-scores", rows)
        for row in rows:
            self.rows.setdefault(row["transaction_id"], row)

    def judge(self, verdicts: list[Row]) -> None:
        append(self.labels, "transactions", verdicts)
        for one in verdicts:
            found = (one["event_time"], one["is_fraud"])
            if found[0] >= self.known.get(one["transaction_id"], found)[0]:
                self.known[one["transaction_id"]] = found

    def expected(self) -> dict[date, Row]:
        days: dict[date, list[Row]] = defaultdict(list)
        for row in self.rows.values():
            days[row["event_time"].date()].append(row)
        return {day: self.figures(rows) for day, rows in days.items()}

    def figures(self, rows: list[Row]) -> Row:
        judged = [row for row in rows if row["transaction_id"] in self.known]
        found: Row = {"payments": len(rows), "judged": len(judged)}
        if not judged:
            return found
        y = np.array([self.known[row["transaction_id"]][1] for row in judged])
        scores = np.array([row["score"] for row in judged])
        flagged = [row["decision"] != "approve" for row in judged]
        blocked = [row["decision"] == "block" for row in judged]
        return {
            **found,
            "frauds": int(y.sum()),
            "known": len(judged) / len(rows),
            "precision": precision_score(y, flagged),
            "recall": recall_score(y, flagged),
            "block_precision": precision_score(y, blocked),
            "block_recall": recall_score(y, blocked),
            "average_precision": average_precision_score(y, scores),
            "calibration_error": reliability(scores, y)["error"],
        }


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect("256MB", tmp_path / "spill") as found:
        yield found


@pytest.fixture
def paid(tmp_path: Path) -> Payments:
    return Payments(lake(tmp_path / "lake"))


def _told(con: duckdb.DuckDBPyConnection, paid: Payments, **span: Any) -> dict[date, Row]:
    return {one["day"]: one for one in by_day(con, paid.lake, **span)}


def _same(told: Row, expected: Row) -> None:
    assert {name: told[name] for name in expected} == pytest.approx(expected)


def test_each_day_is_what_scikit_learn_says(con: duckdb.DuckDBPyConnection, paid: Payments) -> None:
    rows = _decided(_scores())
    paid.score(rows)
    # A restart repeats scores, as a newer model would have them: the first stays.
    paid.score([{**row, "score": 0.01, "decision": "approve"} for row in rows[:70]])
    rng = random.Random(8)
    paid.judge(
        [_verdict(row, 3, fraud=rng.random() < row["score"]) for row in rows if rng.random() < 0.7]
    )
    told = _told(con, paid)
    assert list(told) == sorted(told)
    assert told.keys() == paid.expected().keys()
    for day, expected in paid.expected().items():
        _same(told[day], expected)
    assert [one["models"] for one in told.values()] == [["m1"], ["m1"], ["m1", "m2"], ["m1", "m2"]]


def test_a_case_by_hand(con: duckdb.DuckDBPyConnection, paid: Payments) -> None:
    rows: list[Row] = [
        {"transaction_id": name, "event_time": EPOCH, "score": score, "model_version": "m1"}
        for name, score in (("a", 0.95), ("b", 0.6), ("c", 0.6), ("d", 0.1), ("e", 0.9))
    ]
    paid.score(_decided(rows))
    truth = {"a": True, "b": True, "c": False, "d": False}
    paid.judge([_verdict(row, 1, fraud=truth[row["transaction_id"]]) for row in rows[:4]])
    (told,) = _told(con, paid).values()
    assert (told["payments"], told["judged"], told["known"], told["frauds"]) == (5, 4, 0.8, 2)
    assert (told["flagged"], told["blocked"]) == (4, 2)
    assert (told["precision"], told["recall"]) == pytest.approx((2 / 3, 1.0))
    assert (told["block_precision"], told["block_recall"]) == (1.0, 0.5)
    # a is first: half of the frauds at a precision of 1; b and c are next together: two of three.
    assert told["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    # .95 against 1, .6 against a half (two payments), .1 against none.
    assert told["calibration_error"] == pytest.approx((0.05 + 2 * 0.1 + 0.1) / 4)


def test_a_late_or_corrected_verdict_changes_the_day_of_its_payment(
    con: duckdb.DuckDBPyConnection, paid: Payments
) -> None:
    rows = _decided(_scores())
    paid.score(rows)
    first, fourth = rows[0]["event_time"].date(), rows[-1]["event_time"].date()
    early = _told(con, paid)[first]
    assert (early["judged"], early["known"], early["precision"]) == (0, 0.0, None)
    assert (early["average_precision"], early["calibration_error"]) == (None, None)
    paid.judge([_verdict(row, 2, fraud=row["score"] > 0.8) for row in rows[:60]])
    before = _told(con, paid)
    assert (before[first]["precision"], before[first]["known"]) == (
        pytest.approx(paid.expected()[first]["precision"]),
        1.0,
    )
    # Weeks later what was blocked turns out to have been genuine.
    paid.judge([_verdict(row, 30, fraud=False) for row in rows[:60] if row["score"] > 0.9])
    # An older verdict that comes after a newer one changes nothing.
    paid.judge([_verdict(row, 1, fraud=True) for row in rows[:60]])
    after = _told(con, paid)
    _same(after[first], paid.expected()[first])
    assert after[first]["block_precision"] < before[first]["block_precision"]
    assert after[fourth] == before[fourth]


def test_a_span_and_a_day_without_frauds(con: duckdb.DuckDBPyConnection, paid: Payments) -> None:
    rows = _decided(_scores())
    paid.score(rows)
    paid.judge([_verdict(row, 1, fraud=False) for row in rows])
    begin = EPOCH.replace(hour=0) + DAY
    told = _told(con, paid, since=begin, until=begin + 2 * DAY)
    assert list(told) == [begin.date(), (begin + DAY).date()]
    for one in told.values():
        assert (one["frauds"], one["precision"], one["recall"]) == (0, 0.0, None)
        assert one["average_precision"] is None


def test_the_newest_days_with_enough_verdicts_are_taken_together(
    con: duckdb.DuckDBPyConnection, paid: Payments
) -> None:
    rows = _decided(_scores(days=12, a_day=30))
    paid.score(rows)
    assert pooled(con, paid.lake) is None
    rng = random.Random(4)
    # Of the last two days a third is known, of one amid the others, too.
    verdicts = [
        _verdict(row, 1, fraud=rng.random() < row["score"])
        for at, row in enumerate(rows)
        if at % 3 == 0 or at // 30 not in (5, 10, 11)
    ]
    paid.judge(verdicts)
    found = pooled(con, paid.lake)
    assert found is not None
    days = [2, 3, 4, 6, 7, 8, 9]
    assert len(days) == DAYS
    assert (found.first, found.last) == tuple((EPOCH + day * DAY).date() for day in (2, 9))
    _same(found.figures, paid.figures([row for at, row in enumerate(rows) if at // 30 in days]))


def test_the_gauges(tmp_path: Path) -> None:
    of = lake(tmp_path / "lake")
    current = Settings(state_dir=tmp_path, fraud_least_precision=0.75)
    watch = Watch(current, lake=lambda _: of, clock=lambda: 1000.0)

    def told(name: str, **labels: str) -> float | None:
        return watch.registry.get_sample_value(name, labels)

    watch.turn()  # there is no table yet
    assert math.isnan(told("millrace_fraud_average_precision") or 0.0)
    assert told("millrace_fraud_precision", decision="blocked") is None
    paid = Payments(of)
    rows = _decided(_scores())
    paid.score(rows)
    paid.judge([_verdict(row, 1, fraud=row["score"] > 0.6) for row in rows[:180]])
    watch.turn()
    expected = paid.figures(rows[:180])
    for decision, prefix in (("flagged", ""), ("blocked", "block_")):
        for name in ("precision", "recall"):
            assert told(f"millrace_fraud_{name}", decision=decision) == pytest.approx(
                expected[f"{prefix}{name}"]
            )
    blocked = sum(row["decision"] == "block" for row in rows[:180])
    assert told("millrace_fraud_judged_payments", decision="blocked") == blocked
    for name in ("average_precision", "calibration_error"):
        assert told(f"millrace_fraud_{name}") == pytest.approx(expected[name])
    assert told("millrace_fraud_verdicts_known") == 1.0
    assert told("millrace_fraud_least_precision") == 0.75
    third = (EPOCH.replace(hour=0) + 2 * DAY).timestamp()
    assert told("millrace_fraud_quality_timestamp_seconds") == third
    assert "millrace_fraud_precision" in generate_latest(watch.registry).decode()
    paid.judge([_verdict(row, 9, fraud=False) for row in rows[:180]])
    watch.turn()
    assert math.isnan(told("millrace_fraud_recall", decision="blocked") or 0.0)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_settings: None) -> None:
    del fresh_settings
    monkeypatch.setenv("MILLRACE_STATE_DIR", str(tmp_path / "state"))
    settings.cache_clear()
    paid = Payments(catalog(settings()))

    def run(*line: str) -> Any:
        return CliRunner().invoke(build("model"), ["model", "quality", *line])

    assert "no score of a payment" in run("fraud").stdout
    rows = _decided(_scores())
    paid.score(rows)
    paid.judge([_verdict(row, 1, fraud=row["score"] > 0.6) for row in rows[:90]])
    told = json.loads(run("fraud", "--json").stdout)
    assert [one["day"] for one in told] == [day.isoformat() for day in sorted(paid.expected())]
    for one in told:
        _same(one, paid.expected()[date.fromisoformat(one["day"])])
    since = (EPOCH.replace(hour=0) + 3 * DAY).isoformat()
    (last,) = json.loads(run("fraud", "--since", since, "--json").stdout)
    assert last == told[-1]
    shown = run("fraud").stdout.splitlines()
    assert shown[1].split()[:2] == [told[0]["day"], "60"]
    refused = run("shop")
    assert isinstance(refused.exception, UserError)
    assert str(refused.exception) == "no decisions of 'shop' are measured; those are: fraud"

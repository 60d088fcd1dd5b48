"""Payments in Sparkov's columns: reading, features against pandas, the comparison."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from config.errors import UserError
from config.logging import for_command
from config.settings import Settings
from domain.fraud.sparkov import ROWS, TABLE
from ingestion.fraud.sparkov import HEADER, read
from ingestion.fraud.sparkov_simulator import DAY_MS, Shape, payments, write
from millrace.cli.evaluate import app as evaluate
from millrace.cli.simulate import register
from millrace.stack import batch
from orchestration.fraud.sparkov import frame_of

PUBLISHED = (
    ",trans_date_trans_time,cc_num,merchant,category,amt,first,last,gender,street,city,state,zip,"
    "lat,long,city_pop,job,dob,trans_num,unix_time,merch_lat,merch_long,is_fraud\n"
    '0,2019-01-01 00:00:18,2703186189652095,"fraud_Rippin, Kub and Mann",misc_net,4.97,Jennifer,'
    "Banks,F,561 Perry Cove,Moravian Falls,NC,28654,36.0788,-81.1781,3495,"
    '"Psychologist, counselling",1988-03-09,0b242abb623afc578575680df30655b9,1325376018,36.011293,'
    "-82.048315,0\n"
)
DELAY = 2 * DAY_MS
SMALL = Shape(cards=12, days=20, stolen_a_month=1.0)
simulate = typer.Typer()
register(simulate)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    path = tmp_path_factory.mktemp("sparkov") / "s.csv"
    write(path, SMALL, seed=3)
    return read(path).payments


def test_a_published_row(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text(PUBLISHED)
    found = read(tmp_path / "f.csv")
    assert found.rejected == 0
    assert found.payments.to_pylist() == [
        {
            "transaction_id": "0b242abb623afc578575680df30655b9",
            "event_time": 1_546_300_818_000,
            "card": "2703186189652095",
            "merchant": "fraud_Rippin, Kub and Mann",
            "category": "misc_net",
            "amount": 4.97,
            "lat": 36.0788,
            "long": -81.1781,
            "merch_lat": 36.011293,
            "merch_long": -82.048315,
            "is_fraud": False,
        }
    ]
    assert PUBLISHED.startswith(",".join(HEADER) + "\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("4.97", "inf"),
        ("4.97", ""),
        (",36.0788,", ",136.0788,"),
        (",0\n", ",2\n"),
        ("misc_net", ""),
        ("2019-01-01 00:00:18", ""),
    ],
)
def test_rows_that_are_no_payments_are_left_out(tmp_path: Path, old: str, new: str) -> None:
    good, header = PUBLISHED.splitlines(keepends=True)[1], PUBLISHED.splitlines(keepends=True)[0]
    later = good.replace("00:00:18", "00:01:00")
    (tmp_path / "f.csv").write_text(header + good.replace("0b242", "9b").replace(old, new) + good)
    (tmp_path / "g.csv").write_text(header + later)
    found = read(tmp_path)
    assert (len(found.payments), found.rejected) == (1, 2)  # one is no payment, one a repeat


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n", PUBLISHED.replace("4.97", "much"), "", PUBLISHED.splitlines()[0] + "\n"]
)
def test_what_is_no_such_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(UserError):
        read(tmp_path / "f.csv")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match=r"no \.csv file there"):
        read(empty)


def _distance(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The angle between two unit vectors, times the earth's radius."""
    points = []
    for north, east in (("lat", "long"), ("merch_lat", "merch_long")):
        a, b = np.radians(frame[north]), np.radians(frame[east])
        points.append(np.column_stack([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)]))
    cross = np.linalg.norm(np.cross(points[0], points[1]), axis=1)
    return np.asarray(6371.0088 * np.arctan2(cross, (points[0] * points[1]).sum(axis=1)))


@pytest.mark.slow  # the reference engine
def test_features_by_pandas(table: pa.Table) -> None:
    """Twenty days lie within every window of 30 days, so sums over all of the past are exact."""
    made = frame_of(table, DELAY, None)
    ours = pd.DataFrame(made.x, columns=list(TABLE.model))
    frame = table.to_pandas()
    assert (made.event_time == frame.event_time).all()
    assert (made.y == frame.is_fraud).all()
    by_card, by_both = frame.groupby("card"), frame.groupby(["card", "category"])
    expected = {
        "distance_km": _distance(frame),
        "hour": frame.event_time % DAY_MS / 3_600_000,
        "card_count_30d": by_card.cumcount() + 1,
        "card_max_30d": by_card.amount.cummax(),
        "card_mean_30d": by_card.amount.cumsum() / (by_card.cumcount() + 1),
        "card_seconds_since": by_card.event_time.diff() / 1000,
        "habit_count_30d": by_both.cumcount() + 1,
        "habit_ratio_30d": frame.amount * (by_both.cumcount() + 1) / by_both.amount.cumsum(),
    }
    for entity in ("merchant", "category"):
        judged = [
            frame[(frame[entity] == name) & (frame.event_time + DELAY <= now)].is_fraud
            for name, now in zip(frame[entity], frame.event_time, strict=True)
        ]
        expected[f"{entity}_labels_30d"] = pd.Series([len(one) for one in judged])
        expected[f"{entity}_frauds_30d"] = pd.Series([int(one.sum()) for one in judged])
        expected[f"{entity}_risk_30d"] = pd.Series(
            [one.mean() if len(one) else np.nan for one in judged]
        )
    for name, values in expected.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.slow  # the reference engine
def test_nothing_of_later_changes_a_feature(table: pa.Table) -> None:
    half = len(table) // 2
    frame = table.to_pandas()
    flipped = frame.is_fraud ^ (frame.event_time + DELAY > frame.event_time[half])
    changed = table.set_column(
        table.schema.get_field_index("is_fraud"), "is_fraud", pa.array(flipped)
    )
    whole = frame_of(table, DELAY, None).x
    for other in (frame_of(changed, DELAY, None), frame_of(table.slice(0, half), DELAY, None)):
        np.testing.assert_array_equal(whole[:half], other.x[:half])


def test_the_declaration_is_described_and_the_generator_seeded() -> None:
    said = TABLE.descriptions()
    assert said.keys() == TABLE.computed().keys()
    assert all(len(text) > 20 and text.endswith(".") for text in said.values())
    assert {"distance_km"} <= {row.name for row in ROWS}
    assert payments(SMALL, 1).equals(payments(SMALL, 1))
    assert not payments(SMALL, 1).equals(payments(SMALL, 2))


@pytest.mark.slow  # the reference engine, and trains
def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(layout: object) -> tuple[str, ...]:
        raise UserError("no Java found")

    monkeypatch.setattr(batch, "command", missing)
    for_command(Settings())
    path = tmp_path / "s.csv"
    made = ["simulate", "payments", str(path), "--format", "sparkov", "--customers", "25"]
    made += ["--days", "40", "--strikes", "8"]
    assert CliRunner().invoke(simulate, [*made, "--seed", "5", "--json"]).exit_code == 0
    assert isinstance(CliRunner().invoke(simulate, made).exception, UserError)
    options = ["fraud", "--format", "sparkov", "--data", str(path), "--label-delay", "1d"]
    result = CliRunner().invoke(evaluate, [*options, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    parts = document["split"]
    assert parts["train"]["to"] < parts["validation"]["from"] < parts["test"]["from"]
    assert document["methods"]["millrace"]["roc_auc"] > 0.9
    assert set(document["methods"]) == {"millrace", "logistic-regression"}
    refused = CliRunner().invoke(evaluate, [*options, "--bound"])
    assert isinstance(refused.exception, UserError)

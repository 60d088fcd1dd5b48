"""Graphs beside scikit-learn's own scores, thresholds, and what cannot be learnt from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from typer.testing import CliRunner

from config.errors import UserError
from domain.anomalies.policy import Thresholds
from millrace.cli.train import app
from orchestration.anomalies.learned.online import WIDTH, Online
from orchestration.anomalies.learned.rows import Windows, read
from orchestration.anomalies.learned.train import Learnt, train
from orchestration.shelf.card import UnusableModelError
from orchestration.shelf.store import Store

NAMES = ("mean", "spread", "alerts")
Floats = npt.NDArray[np.float64]


def drawn(count: int, seed: int) -> Floats:
    """Windows of three features in 32-bit floats, one in a hundred values unknown."""
    random = np.random.default_rng(seed)
    rows = random.normal([20, 1, 100], [5, 0.1, 30], (count, 3))
    rows[random.random(rows.shape) < 0.01] = np.nan
    return rows.astype(np.float32).astype(np.float64)


TRAINING = drawn(600, 1)
ASKED = np.vstack([drawn(200, 2), np.random.default_rng(3).uniform(-500, 500, (200, 3))]).astype(
    np.float32
)


@pytest.fixture(scope="module", params=["iforest", "ocsvm", "combined"])
def learnt(request: pytest.FixtureRequest) -> Learnt:
    return train(Windows(NAMES, TRAINING), request.param)


def outputs(learnt: Learnt, rows: npt.NDArray[np.float32]) -> dict[str, Floats]:
    session = onnxruntime.InferenceSession(learnt.graph().SerializeToString())
    names = [one.name for one in session.get_outputs()]
    found = session.run(names, {session.get_inputs()[0].name: rows})
    return {name: one.reshape(-1) for name, one in zip(names, found, strict=True)}


def strangeness() -> dict[str, tuple[Floats, Floats]]:
    """What scikit-learn itself says of the training windows and of those asked, step by step."""
    fill = SimpleImputer(strategy="median").fit(TRAINING)
    known, asked = fill.transform(TRAINING), fill.transform(ASKED.astype(np.float64))
    forest = IsolationForest(n_estimators=200, random_state=7).fit(known)
    scale = StandardScaler().fit(known)
    svm = OneClassSVM(nu=0.05, gamma="scale").fit(scale.transform(known))
    return {
        "iforest": (-forest.decision_function(known), -forest.decision_function(asked)),
        "ocsvm": (
            -svm.decision_function(scale.transform(known)),
            -svm.decision_function(scale.transform(asked)),
        ),
    }


def margins(training: Floats, asked: Floats) -> tuple[Floats, Floats]:
    threshold, middle = np.quantile(training, 0.99), np.median(training)
    return (
        3 * (training - threshold) / (threshold - middle),
        3 * (asked - threshold) / (threshold - middle),
    )


def test_a_graph_scores_as_scikit_learn_does(learnt: Learnt) -> None:
    each = {name: margins(*pair) for name, pair in strangeness().items()}
    whole = each.get(learnt.detector) or margins(
        (each["iforest"][0] + each["ocsvm"][0]) / 2, (each["iforest"][1] + each["ocsvm"][1]) / 2
    )
    found = outputs(learnt, ASKED)
    np.testing.assert_allclose(found["margin"], whole[1], atol=1e-4, rtol=1e-5)
    np.testing.assert_allclose(found["score"], 1 / (1 + np.exp(-whole[1])), atol=1e-4)
    names = [learnt.detector] if learnt.detector in each else list(each)
    assert set(found) == {"score", "margin", *(f"margin_{name}" for name in names)}
    for name in names:
        np.testing.assert_allclose(found[f"margin_{name}"], each[name][1], atol=1e-4, rtol=1e-5)


def test_one_training_window_in_a_hundred_reaches_the_normal_threshold(learnt: Learnt) -> None:
    scores = outputs(learnt, TRAINING.astype(np.float32))["score"]
    thresholds = learnt.thresholds
    reached = [float((scores >= bound).mean()) for bound in (thresholds.normal, thresholds.high)]
    assert thresholds.normal == pytest.approx(0.5, abs=1e-4)
    assert reached == pytest.approx([0.01, 0.03], abs=0.002)


def test_equal_windows_make_equal_versions(learnt: Learnt, tmp_path: Path) -> None:
    again = train(Windows(NAMES, TRAINING), learnt.detector)
    first, second = learnt.publish(tmp_path), again.publish(tmp_path)
    assert first.version == second.version
    assert Store(tmp_path).versions() == [first.version]


def test_a_graph_that_is_not_the_one_published_is_refused(learnt: Learnt, tmp_path: Path) -> None:
    card = learnt.publish(tmp_path)
    other = train(Windows(NAMES, drawn(300, 9)), "ocsvm").graph().SerializeToString()
    (tmp_path / card.version / "model.onnx").write_bytes(other)
    with pytest.raises(UnusableModelError, match="its SHA-256 differs"):
        Store(tmp_path).load(card.version)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_forest_takes_scikit_learns_path_where_values_meet_thresholds(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.integers(0, 3, (60, 2)).astype(np.float64)
    rows[0] = [7, 7]
    learnt = train(Windows(("a", "b"), rows), "iforest")
    forest = learnt.fitted["iforest"]
    thresholds = np.concatenate(
        [one.tree_.threshold for one in forest.pipeline[-1].estimators_[:9]]  # type: ignore[attr-defined]
    ).astype(np.float32)
    asked = np.repeat(thresholds[:, None], 2, axis=1)
    found = outputs(learnt, asked)["margin"]
    np.testing.assert_allclose(found, learnt.margins(asked.astype(np.float64)), atol=1e-3)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_every_format_is_read_alike(suffix: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(TRAINING, columns=list(NAMES))
    frame.insert(0, "sensor_id", "s")
    path = tmp_path / f"windows{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True, double_precision=15)
    else:
        frame.to_parquet(path)
    found = read(path)
    assert found.features == NAMES
    np.testing.assert_allclose(found.rows, TRAINING, rtol=1e-12)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a\n" + "1\n" * 10, "10 windows; training needs 50"),
        ("a\n" + "x\n" * 60, "column 'a' does not hold numbers"),
        ("a,b\n" + "1,\n" * 60, "feature 'b' has no value"),
        ("a\n" + "1e300\n" * 60, "beyond 32-bit floats"),
        ("sensor_id\n" + "s\n" * 60, "no column of features"),
        ("a\n" + "1\n" * 60, "nearly all windows are alike"),
        ("", "cannot be read"),
    ],
)
def test_what_cannot_be_learnt_from_is_told_in_a_line(
    content: str, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "windows.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=told):
        train(read(path), "iforest")


def test_thresholds_that_contradict_criticality_are_refused() -> None:
    with pytest.raises(ValueError, match="must rise"):
        Thresholds(low=0.3, normal=0.5, high=0.6)


def test_the_command_publishes_and_promotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLRACE_STATE_DIR", str(tmp_path / "state"))
    from config.settings import settings

    settings.cache_clear()
    path = tmp_path / "windows.csv"
    pd.DataFrame(TRAINING, columns=list(NAMES)).to_csv(path, index=False)
    command = ["anomalies", "--data", str(path), "--detector", "ocsvm", "--promote"]
    result = CliRunner().invoke(app, [*command, "--json"])
    settings.cache_clear()
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["kind"] == "onnx"
    assert told["promoted"] is True
    shelf = Store(tmp_path / "state" / "models" / "anomalies")
    assert shelf.current() == told["version"]


def test_rows_are_judged_by_their_means_once_the_first_are_learnt() -> None:
    rows = np.random.default_rng(5).normal(0, 1, (200, 2))
    rows[150:] += 6
    online = Online("ocsvm", training=100)
    scores = [online.score(tuple(row)) for row in rows.tolist()]
    means = pd.DataFrame(rows).rolling(WIDTH).mean().to_numpy()
    learnt = train(Windows(("a", "b"), means[WIDTH - 1 : 100]), "ocsvm")
    expected = 1 / (1 + np.exp(-learnt.margins(means[100:])))
    assert scores[:100] == [0.0] * 100
    np.testing.assert_allclose(scores[100:], expected, atol=1e-3)
    assert min(scores[-10:]) > 0.5


def test_windows_of_the_stream_are_read_as_they_are_tailed(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    records = [
        {"sensor_id": "s", "window_start": number, "features": {"mean": number / 2, "count": 3}}
        for number in range(60)
    ]
    del records[5]["features"]["count"]  # type: ignore[attr-defined]
    lines = [json.dumps({"topic": "t", "key": "s", "record": one}) for one in records]
    path.write_text("\n".join([*lines, lines[0]]) + "\n")
    found = read(path)
    assert found.features == ("mean", "count")
    assert found.rows[:, 0].tolist() == [number / 2 for number in range(60)]
    assert np.isnan(found.rows[5, 1])
    plain = tmp_path / "plain.jsonl"
    plain.write_text("\n".join(json.dumps(one["features"]) for one in records) + "\n")
    np.testing.assert_array_equal(read(plain).rows, found.rows)
    for broken in ("[1]", '{"features": {"a": 1}}\n{"b": 2}', "{"):
        path.write_text(broken)
        with pytest.raises(UserError, match="cannot be read"):
            read(path)

"""The LSTM autoencoder: JAX, its graph of ONNX, and the equations written out in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from config.errors import UserError
from orchestration.anomalies.learned import autoencoder
from orchestration.anomalies.learned.autoencoder import FURTHEST, HIDDEN, Autoencoder
from orchestration.anomalies.learned.rows import Windows
from orchestration.anomalies.learned.train import Learnt, train
from orchestration.shelf.store import Store
from serving.anomalies.model import accept

Floats = npt.NDArray[np.float64]
needs_jax = pytest.mark.skipif(
    not autoencoder.installed(), reason="no JAX: scripts/setup.sh --with ml"
)
STEPS = 12


def waves(many: int, seed: int, noise: float = 0.05) -> Floats:
    """Windows of a sine with any phase and height; a value in fifty is unknown."""
    chance = np.random.default_rng(seed)
    phase = chance.uniform(0, 2 * np.pi, (many, 1))
    height = chance.uniform(0.5, 2, (many, 1))
    times = np.linspace(0, 2 * np.pi, STEPS)
    rows = 20 + height * np.sin(times + phase) + chance.normal(0, noise, (many, STEPS))
    rows[chance.random(rows.shape) < 0.02] = np.nan
    return rows.astype(np.float32).astype(np.float64)


def broken(rows: Floats) -> Floats:
    """The same values in another order: each alone is usual, the shape is not."""
    chance = np.random.default_rng(8)
    return np.array([chance.permutation(row) for row in rows])


@pytest.fixture(scope="module")
def fitted() -> Autoencoder:
    return autoencoder.fit(waves(600, 1), 7)


@pytest.fixture(scope="module")
def whole() -> Learnt:
    names = tuple(f"v{place}" for place in range(STEPS))
    return train(Windows(names, waves(400, 1)), "all")


def graph_of(made: Autoencoder, rows: Floats) -> Floats:
    session = onnxruntime.InferenceSession(made.export().SerializeToString())
    found = session.run(None, {"rows": rows.astype(np.float32)})[0]
    assert found.shape == (len(rows), 1)
    return np.asarray(found[:, 0], np.float64)


def literally(made: Autoencoder, row: Floats) -> float:
    """The strangeness of one window by the equations, in 64 bits, a gate and a step at a time."""
    scale = made.scale
    filled = np.where(np.isnan(row), scale.medians, row)
    steps = np.clip((filled - scale.means) / scale.deviations, -FURTHEST, FURTHEST)
    weights = {name: one.astype(np.float64) for name, one in made.weights.items()}

    def through(name: str, inputs: list[Floats]) -> list[Floats]:
        told, cell, every = np.zeros(HIDDEN), np.zeros(HIDDEN), []
        for one in inputs:
            mixed = one @ weights[f"{name}_w"] + told @ weights[f"{name}_r"] + weights[f"{name}_b"]
            into, out, keep, new = (mixed[k * HIDDEN : (k + 1) * HIDDEN] for k in range(4))
            cell = cell / (1 + np.exp(-keep)) + np.tanh(new) / (1 + np.exp(-into))
            told = np.tanh(cell) / (1 + np.exp(-out))
            every.append(told)
        return every

    held = through("encoder", [np.array([one]) for one in steps])[-1]
    told = through("decoder", [held] * STEPS)
    again = [float((one @ weights["out_w"] + weights["out_b"])[0]) for one in told]
    return float(np.mean((np.array(again) - steps) ** 2))


@needs_jax
@pytest.mark.slow
def test_the_graph_is_what_jax_says_and_what_the_equations_say(fitted: Autoencoder) -> None:
    asked = np.vstack([waves(60, 2), broken(waves(20, 3)), np.full((1, STEPS), 1e6)])
    by_jax, by_graph = fitted.raw(asked), graph_of(fitted, asked)
    np.testing.assert_allclose(by_graph, by_jax, rtol=1e-4, atol=1e-5)
    by_hand = [literally(fitted, row) for row in asked]
    np.testing.assert_allclose(by_graph, by_hand, rtol=1e-3, atol=1e-5)


@needs_jax
@pytest.mark.slow
def test_it_knows_shapes_that_no_value_alone_betrays(fitted: Autoencoder) -> None:
    usual = fitted.raw(waves(300, 4))
    strange = fitted.raw(broken(waves(300, 4)))
    assert (strange > np.quantile(usual, 0.99)).mean() > 0.75
    assert np.median(usual) < 0.1  # of a variance of 1


@needs_jax
@pytest.mark.slow
def test_equal_windows_and_seeds_make_equal_weights(fitted: Autoencoder) -> None:
    again = autoencoder.fit(waves(600, 1), 7)
    assert again.export().SerializeToString(
        deterministic=True
    ) == fitted.export().SerializeToString(deterministic=True)


@needs_jax
@pytest.mark.slow
def test_beside_the_others_it_is_one_graph_that_serving_takes(
    whole: Learnt, tmp_path: Path
) -> None:
    card = whole.publish(tmp_path)
    assert set(card.details["libraries"]) >= {"jax", "optax"}
    model = accept(*Store(tmp_path).load(card.version))
    asked = waves(50, 5)
    found = model.judged(asked)
    np.testing.assert_allclose(found.margins, whole.margins(asked), atol=2e-3, rtol=1e-3)
    assert set(found.detectors) == {"iforest", "ocsvm", "lstm"}
    (verdict,) = model.judge(broken(waves(1, 6)), ["normal"])
    assert len(verdict.explanation) == STEPS


def test_without_jax_it_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoencoder, "installed", lambda: False)
    with pytest.raises(UserError, match="--with ml"):
        autoencoder.fit(waves(60, 1), 7)

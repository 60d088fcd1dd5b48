"""The kinds of models that are built in; serving's tests have LightGBM's."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from orchestration.shelf.card import UnusableModelError
from orchestration.shelf.store import Store

# An environment that is older than this dependency lacks it until the next set-up.
pytest.importorskip("onnxruntime")

# sigmoid(x0 + 2 x1 - x2 + 0.5), as onnx.helper makes it: Gemm and Sigmoid, opset 13.
LINEAR = base64.b64decode(Path(__file__).with_name("linear.onnx.b64").read_text())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "sensors")


def publish(store: Store, graph: bytes, features: tuple[str, ...] = ("a", "b", "c")) -> None:
    files = {"model.onnx": graph}
    store.publish(
        "v1", "onnx", files, feature_set_version="sensors-1", features=features, details={}
    )


def test_an_onnx_graph_scores_rows(store: Store) -> None:
    publish(store, LINEAR)
    _, graph = store.load("v1")
    scores = graph.predict(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [np.nan, 0.0, 0.0]]))
    assert scores[:2] == pytest.approx(1 / (1 + np.exp([-0.5, -2.5])), rel=1e-6)
    assert np.isnan(scores[2])
    assert scores.dtype == np.float64


@pytest.mark.parametrize("graph", [b"", LINEAR[:100], b"no graph"])
def test_bytes_that_are_no_graph(store: Store, graph: bytes) -> None:
    publish(store, graph)
    with pytest.raises(UnusableModelError, match="v1: "):
        store.load("v1")


def test_a_graph_for_other_features(store: Store) -> None:
    publish(store, LINEAR, ("a", "b"))
    with pytest.raises(UnusableModelError, match="v1: InvalidArgument"):
        store.load("v1")

"""Detectors by name: of scikit-learn Isolation Forest and One-Class SVM, each as a pipeline.

Isolation Forest: Liu, Ting and Zhou 2008. One-Class SVM: Schölkopf et al. 2001.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper
from skl2onnx import to_onnx
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from orchestration.anomalies.learned import autoencoder, forest
from orchestration.anomalies.learned.graph import OPSET
from orchestration.anomalies.learned.rows import Matrix

SVM_ROWS = 10_000
"""Windows that a One-Class SVM learns at most: its time grows with their square."""
TREES = 200
NU = 0.05
"""The share of training windows that may lie outside of the One-Class SVM's region."""


class Fitted(Protocol):
    """A detector that has learnt."""

    def raw(self, rows: Matrix) -> npt.NDArray[np.float64]:
        """Return the strangeness of each row, shape (rows,), in the detector's own units."""
        ...

    def export(self) -> onnx.ModelProto:
        """Return a graph of one input and one output, the strangeness, shape (rows, 1)."""
        ...


@dataclass(frozen=True, slots=True)
class Sklearn:
    """A fitted pipeline whose last step has a `decision_function`, high for what is usual."""

    pipeline: Pipeline

    def raw(self, rows: Matrix) -> npt.NDArray[np.float64]:
        """Return the strangeness of each row."""
        usual = self.pipeline.decision_function(rows)
        return -np.asarray(usual, dtype=np.float64).reshape(len(rows))

    def export(self) -> onnx.ModelProto:
        """Return the graph of the negated decision function."""
        first, last = self.pipeline[0], self.pipeline[-1]
        if isinstance(last, IsolationForest):
            return forest.exported(last, first.statistics_)
        sample = np.zeros((1, first.n_features_in_), np.float32)
        model: onnx.ModelProto = to_onnx(self.pipeline, sample, target_opset=OPSET)
        model.graph.node.append(helper.make_node("Neg", ["scores"], ["strangeness"]))
        del model.graph.output[:]
        model.graph.output.append(
            helper.make_tensor_value_info("strangeness", onnx.TensorProto.FLOAT, [None, 1])
        )
        return model


def _forest(rows: Matrix, seed: int) -> Sklearn:
    trees = IsolationForest(n_estimators=TREES, random_state=seed)
    return _fitted(make_pipeline(SimpleImputer(strategy="median"), trees), rows)


def _svm(rows: Matrix, seed: int) -> Sklearn:
    if len(rows) > SVM_ROWS:
        drawn = np.random.default_rng(seed).choice(len(rows), SVM_ROWS, replace=False)
        rows = rows[np.sort(drawn)]
    steps = (SimpleImputer(strategy="median"), StandardScaler(), OneClassSVM(nu=NU, gamma="scale"))
    return _fitted(make_pipeline(*steps), rows)


def _fitted(pipeline: Pipeline, rows: Matrix) -> Sklearn:
    # Graphs compute in 32 bits: what is learnt must have been seen so, too.
    return Sklearn(pipeline.fit(rows.astype(np.float32).astype(np.float64)))


LEARN: Mapping[str, Callable[[Matrix, int], Fitted]] = {
    "iforest": _forest,
    "ocsvm": _svm,
    "lstm": autoencoder.fit,
}
"""How each detector learns from rows and a seed; `lstm` needs JAX."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in LEARN},
    "combined": ("iforest", "ocsvm"),
    "all": tuple(LEARN),
}
"""The detectors of each choice."""
PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "iforest": {"trees": TREES},
    "ocsvm": {"nu": NU, "gamma": "scale", "rows_at_most": SVM_ROWS},
    "lstm": {
        "hidden": autoencoder.HIDDEN,
        "epochs": autoencoder.EPOCHS,
        "batch": autoencoder.BATCH,
        "rate": autoencoder.RATE,
        "rows_at_most": autoencoder.ROWS,
    },
}

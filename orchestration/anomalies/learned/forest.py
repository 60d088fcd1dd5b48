"""Write an Isolation Forest as one node of ONNX.

skl2onnx makes a node for each step of each tree, in time that grows with the square of the trees.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import IsolationForest

from orchestration.anomalies.learned.graph import OPSET

ML = "ai.onnx.ml"


def exported(forest: IsolationForest, medians: npt.NDArray[np.float64]) -> onnx.ModelProto:
    """Return a graph of rows to `-decision_function`, shape (rows, 1).

    `medians` stand where a value is NaN. A path through a tree is the one that scikit-learn takes,
    bit for bit.
    """
    longest = len(forest.estimators_) * _usual_path(np.array([forest.max_samples_]))[0]
    numbers = {"exponent": -1.0 / longest, "two": 2.0, "offset": forest.offset_}
    constants = [
        numpy_helper.from_array(np.array([number], np.float32), name)
        for name, number in numbers.items()
    ]
    filled = helper.make_node(
        "Imputer",
        ["rows"],
        ["filled"],
        domain=ML,
        imputed_value_floats=medians.astype(np.float32).tolist(),
        replaced_value_float=float("nan"),
    )
    trees = helper.make_node(
        "TreeEnsembleRegressor", ["filled"], ["paths"], domain=ML, **_attributes(forest)
    )
    nodes = [
        filled,
        trees,
        helper.make_node("Mul", ["paths", "exponent"], ["power"]),
        helper.make_node("Pow", ["two", "power"], ["isolation"]),
        helper.make_node("Add", ["isolation", "offset"], ["strangeness"]),
    ]
    graph = helper.make_graph(
        nodes,
        "forest",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, len(medians)])],
        [helper.make_tensor_value_info("strangeness", TensorProto.FLOAT, [None, 1])],
        initializer=constants,
    )
    opsets = [helper.make_opsetid(domain, number) for domain, number in OPSET.items()]
    return helper.make_model(graph, opset_imports=opsets)


def _attributes(forest: IsolationForest) -> dict[str, Any]:
    """Return the nodes of all trees; a leaf's weight is the length of the path that ends there."""
    columns: dict[str, list[npt.NDArray[Any]]] = {}

    def add(name: str, values: npt.NDArray[Any]) -> None:
        columns.setdefault(name, []).append(values)

    for number, estimator in enumerate(forest.estimators_):
        tree = estimator.tree_
        leaf = tree.children_left < 0
        ids = np.arange(tree.node_count)
        add("nodes_treeids", np.full(tree.node_count, number))
        add("nodes_nodeids", ids)
        add("nodes_modes", np.where(leaf, "LEAF", "BRANCH_LEQ"))
        add("nodes_featureids", np.where(leaf, 0, tree.feature))
        add("nodes_values", np.where(leaf, 0.0, _below(tree.threshold)))
        add("nodes_truenodeids", np.where(leaf, 0, tree.children_left))
        add("nodes_falsenodeids", np.where(leaf, 0, tree.children_right))
        add("target_treeids", np.full(leaf.sum(), number))
        add("target_nodeids", ids[leaf])
        add("target_ids", np.zeros(leaf.sum(), int))
        paths = _depths(tree) + _usual_path(tree.n_node_samples)
        add("target_weights", paths[leaf])
    found = {name: np.concatenate(parts).tolist() for name, parts in columns.items()}
    return {**found, "n_targets": 1, "aggregate_function": "SUM", "post_transform": "NONE"}


def _below(thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the greatest 32-bit floats that are no greater: a 32-bit value falls as before."""
    rounded = thresholds.astype(np.float32)
    down = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded > thresholds, down, rounded).astype(np.float64)


def _depths(tree: Any) -> npt.NDArray[np.float64]:
    """Return the edges from the root to each node; a parent is numbered before its children."""
    depths = np.zeros(tree.node_count)
    for node in np.flatnonzero(tree.children_left >= 0):
        depths[[tree.children_left[node], tree.children_right[node]]] = depths[node] + 1
    return depths


def _usual_path(samples: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return c(n), the mean path of an unsuccessful search in a tree of n (Liu et al., eq. 1)."""
    n = np.maximum(samples.astype(np.float64), 2.0)
    many = 2 * (np.log(np.maximum(n - 1, 1)) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(samples > 2, many, np.where(samples == 2, 1.0, 0.0))

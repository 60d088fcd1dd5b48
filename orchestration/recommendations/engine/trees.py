"""Hold an ensemble of trees in arrays, for compiled code to walk through."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from orchestration.compiled import compiled
from orchestration.recommendations.engine.arrays import Ints
from orchestration.recommendations.engine.scoring import Floats


class Trees(NamedTuple):
    """An ensemble: an inner node sends a value at most its threshold to the left."""

    roots: Ints  # of each tree
    feature: Ints  # of each node, -1 for a leaf
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats  # of a leaf


@compiled
def predict(trees: Trees, rows: Floats) -> Floats:
    """Return the sum of the trees' values of each row."""
    found = np.zeros(len(rows))
    for row in range(len(rows)):
        for root in trees.roots:
            node = root
            while trees.feature[node] >= 0:
                if rows[row, trees.feature[node]] <= trees.threshold[node]:
                    node = trees.left[node]
                else:
                    node = trees.right[node]
            found[row] += trees.value[node]
    return found


def trees_of(model: dict[str, Any]) -> Trees:
    """Return LightGBM's dumped model as arrays. Raise ValueError for a split that is no `<=`."""
    roots: list[int] = []
    nodes: list[list[float]] = []

    def add(node: dict[str, Any]) -> int:
        number = len(nodes)
        nodes.append([-1, 0.0, -1, -1, float(node.get("leaf_value", 0.0))])
        if "split_feature" in node:
            if node["decision_type"] != "<=":
                raise ValueError(f"a split by {node['decision_type']}")
            left, right = add(node["left_child"]), add(node["right_child"])
            nodes[number] = [node["split_feature"], node["threshold"], left, right, 0.0]
        return number

    for tree in model["tree_info"]:
        roots.append(add(tree["tree_structure"]))
    columns = np.array(nodes, np.float64)
    return Trees(
        roots=np.array(roots, np.int32),
        feature=columns[:, 0].astype(np.int32),
        threshold=columns[:, 1].copy(),
        left=columns[:, 2].astype(np.int32),
        right=columns[:, 3].astype(np.int32),
        value=columns[:, 4].copy(),
    )

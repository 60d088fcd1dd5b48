"""Learn to order candidates: LambdaMART on the last sessions, the index holding those before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightgbm
import numpy as np

from config.errors import UserError
from orchestration.recommendations.engine.recommender import Recommender
from orchestration.recommendations.engine.reranking import FEATURES, Trees
from orchestration.recommendations.sessions import Session

SHARE = 0.1
"""Of the sessions, the last ones, that are learnt from."""
LEAST = 200
"""Questions with the wanted item among the candidates, at least."""
ROUNDS = 120
PARAMETERS: dict[str, Any] = {
    "objective": "lambdarank",
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 200,
    "lambdarank_truncation_level": 30,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 1,
    "verbose": -1,
}


def fit(
    sessions: Sequence[Session],
    *,
    rounds: int = ROUNDS,
    progress: Callable[[int], None] = lambda _: None,
) -> Trees:
    """Return trees learnt from the last tenth of the sessions.

    `progress` is told the sessions done. Raise UserError if there are too few to learn from.
    """
    first = round(len(sessions) * (1 - SHARE))
    engine = Recommender()
    for number, session in enumerate(sessions[:first]):
        engine.observe(f"s{number}", number, session)
    rows, labels, groups = [], [], []
    for number, session in enumerate(sessions[first:], start=first):
        for place in range(1, len(session)):
            names, features = engine.candidates(session[:place])
            if session[place] in names:
                rows.append(features.astype(np.float32))
                labels.append(np.array([name == session[place] for name in names], np.int8))
                groups.append(len(names))
        if number % 200 == 0:
            progress(number)
    if len(groups) < LEAST:
        raise UserError(f"too few questions to learn an order from: {len(groups)} of {LEAST}")
    data = lightgbm.Dataset(
        np.concatenate(rows), np.concatenate(labels), group=groups, feature_name=list(FEATURES)
    )
    return trees_of(lightgbm.train(PARAMETERS, data, rounds).dump_model())


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

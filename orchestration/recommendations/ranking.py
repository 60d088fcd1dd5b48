"""Learn to order candidates: LambdaMART on the last sessions, the index holding those before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from config.errors import UserError
from orchestration.recommendations.engine.recommender import Recommender
from orchestration.recommendations.engine.reranking import FEATURE_SET, FEATURES
from orchestration.recommendations.engine.trees import Trees, trees_of
from orchestration.recommendations.sessions import Session
from orchestration.shelf.card import Card
from orchestration.shelf.store import Store

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


@dataclass(frozen=True, slots=True)
class Learnt:
    """An order, as LightGBM writes it, with what it was learnt from."""

    booster: lightgbm.Booster
    sessions: int
    questions: int

    def publish(self, folder: Path, origin: Mapping[str, Any]) -> Card:
        """Publish it on the shelf in `folder`; nothing is ordered by it until it is promoted.

        `origin` says where the sessions came from; the card carries it.
        """
        text = self.booster.model_to_string()
        digest = hashlib.sha256(text.encode()).hexdigest()
        details = {
            "data": dict(origin),
            "sessions": self.sessions,
            "questions": self.questions,
            "trees": self.booster.num_trees(),
            "parameters": PARAMETERS,
            "libraries": {name: installed(name) for name in ("lightgbm", "numpy")},
        }
        return Store(folder).publish(
            f"{FEATURE_SET}-{digest[:12]}",
            "lightgbm",
            {"model.txt": text.encode()},
            feature_set_version=FEATURE_SET,
            features=FEATURES,
            details=details,
        )


def fit(sessions: Sequence[Session], *, rounds: int = ROUNDS) -> Trees:
    """Return the trees of what `learn` learns."""
    return trees_of(learn(sessions, rounds=rounds).booster.dump_model())


def learn(
    sessions: Sequence[Session],
    *,
    rounds: int = ROUNDS,
    progress: Callable[[int], None] = lambda _: None,
) -> Learnt:
    """Learn from the last tenth of the sessions, which are in order of time.

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
    return Learnt(lightgbm.train(PARAMETERS, data, rounds), len(sessions), len(groups))

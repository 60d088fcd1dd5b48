"""Fit the fraud model to a short time: a week of payments, without a part to stop at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np

from orchestration.fraud.train import PARAMETERS
from orchestration.training.frame import Floats, Frame

ROUNDS = 150
SEEDS = 3
THREADS = 2  # with `deterministic` as many as one likes, to the same bits
MANY = 300_000
"""From so many rows on one seed is enough: the models hardly differ."""


def fit(frame: Frame, seed: int) -> Callable[[Floats], Floats]:
    """Return what scores rows: the mean over models that differ by their seed alone."""
    data = lightgbm.Dataset(frame.x, frame.y.astype(np.int8), free_raw_data=False)
    parameters = {**PARAMETERS, "num_threads": THREADS}
    boosters = [
        lightgbm.train({**parameters, "seed": seed + more}, data, num_boost_round=ROUNDS)
        for more in range(SEEDS if len(frame) < MANY else 1)
    ]

    def score(x: Floats) -> Floats:
        raw: Any = [booster.predict(x, num_threads=THREADS) for booster in boosters]
        return np.asarray(np.mean(raw, axis=0), dtype=np.float64)

    return score

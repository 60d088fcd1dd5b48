"""One LightGBM for all items: the units over a horizon, per open day."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

from orchestration.inventory.features import LEAST, NAMES, bases, matrix
from orchestration.inventory.panel import Panels
from orchestration.inventory.sales import Floats, Ints, TooLittleError

WEEK = 7
HISTORY = 28
"""Days of history without which nothing is learnt of a day."""
ROUNDS = 250
MOST_CUTS = 60
"""Weeks before the origin that the model learns from at most."""
PARAMETERS = {
    "objective": "tweedie",
    "tweedie_variance_power": 1.2,
    "learning_rate": 0.04,
    "num_leaves": 31,
    "min_data_in_leaf": 150,
    "verbosity": -1,
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    # Threads of one fit spin while they wait; fits beside one another do not.
    "num_threads": 1,
}


@dataclass(frozen=True, slots=True)
class Known:
    """The items sold before a cut: their places, features and bases."""

    items: Ints
    features: NDArray[np.float32]
    base: Floats


Fit = tuple[int, int]
"""A day (since 1970) that a model is learnt by, and its horizon in days."""


class Boosted:
    """The models at any origin for any horizon, in days; models and features are kept.

    Origins a whole number of weeks apart share their features.
    """

    def __init__(self, panels: Panels) -> None:
        self.panels = panels
        self._lock = threading.Lock()
        self._looked: dict[Fit, Known] = {}
        self._models: dict[Fit, lightgbm.Booster] = {}

    def learn(
        self, fits: Iterable[Fit], workers: int, told: Callable[[int], None] = lambda _: None
    ) -> None:
        """Fit the models that are missing, `workers` at a time; `told` hears how many are done.

        Raise TooLittleError if there is too little history.
        """
        missing = [one for one in dict.fromkeys(fits) if one not in self._models]
        with ThreadPoolExecutor(workers) as pool:
            running = [pool.submit(self._model, *one) for one in missing]
            for done, one in enumerate(as_completed(running), start=1):
                one.result()
                told(done)

    def totals(self, cut: int, horizon: int, learnt_by: int | None = None) -> Floats:
        """Return each item's expected units in the `horizon` days from `cut` on.

        The model learns of sales before `learnt_by`, which is `cut` unless given. Items never sold
        have 0. Raise TooLittleError if there is too little history.
        """
        known = self._known(cut, horizon)
        found = np.zeros(len(self.panels.sales.items))
        model = self._model(cut if learnt_by is None else learnt_by, horizon)
        raw = model.predict(known.features, raw_score=True, num_threads=1)
        days = self.panels.at(cut).ahead(horizon).sum()
        found[known.items] = known.base * np.exp(np.asarray(raw)) * days
        return found

    def _model(self, origin: int, horizon: int) -> lightgbm.Booster:
        if (origin, horizon) not in self._models:
            self._models[origin, horizon] = self._fit(origin, horizon)
        return self._models[origin, horizon]

    def _known(self, cut: int, horizon: int) -> Known:
        with self._lock:
            if (cut, horizon) not in self._looked:
                self._looked[cut, horizon] = self._look(cut, horizon)
            return self._looked[cut, horizon]

    def _look(self, cut: int, horizon: int) -> Known:
        panel = self.panels.at(cut)
        items = np.flatnonzero(panel.first_sold < cut)
        features = matrix(panel, horizon)[items].astype(np.float32)
        return Known(items, features, np.maximum(bases(panel)[items], LEAST))

    def _fit(self, origin: int, horizon: int) -> lightgbm.Booster:
        rows, targets, scores = [], [], []
        cuts = range(origin - horizon, self.panels.first + HISTORY - 1, -WEEK)
        for cut in cuts[:MOST_CUTS]:
            known = self._known(cut, horizon)
            sold = self.panels.sold(cut, cut + horizon, origin)
            days = max((sold.sum(axis=0) > 0).sum(), 1)
            rows.append(known.features)
            targets.append(sold.sum(axis=1)[known.items] / days)
            scores.append(np.log(known.base))
        if not rows:
            short = self.panels.first + HISTORY + horizon - origin
            raise TooLittleError(
                f"too little history: {short} more days are needed for {horizon} ahead"
            )
        data = lightgbm.Dataset(
            np.concatenate(rows),
            np.concatenate(targets),
            init_score=np.concatenate(scores),
            feature_name=list(NAMES),
            params={"verbosity": -1, "num_threads": 1},
        )
        return lightgbm.train(PARAMETERS, data, ROUNDS)

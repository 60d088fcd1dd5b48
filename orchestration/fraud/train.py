"""Train the fraud model: feature table, split, boosting, thresholds, report, publication.

Making the model current is a step of its own (`millrace model promote`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from domain.features.graph import Graph
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from domain.fraud.pipeline import feature_rows
from domain.fraud.policy import USUAL, Costs, Targets
from orchestration.fraud.payments import Payments, offsets, stream
from orchestration.fraud.thresholds import aimed
from orchestration.shelf.card import Card
from orchestration.shelf.distribution import Reference
from orchestration.shelf.store import Store
from orchestration.training.frame import (
    Floats,
    Frame,
    Matrix,
    Progress,
    by_kernel,
    by_reference,
)
from orchestration.training.kernel import Kernel, Plan
from orchestration.training.metrics import measure, reliability
from orchestration.training.split import Split, by_time

LIBRARIES = ("lightgbm", "numpy", "scikit-learn")
ROUNDS = 300
PATIENCE = 40
# Small trees and strong regularisation, as frauds are few. One thread and `deterministic`: the same
# data gives the same model on every machine.
PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "metric": "average_precision",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 40,
    "lambda_l2": 5.0,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


@dataclass(frozen=True, slots=True)
class Data:
    """Payments with the verdicts on them, known `delay_ms` later, and their source.

    `rejected` is the number of rows that were not payments.
    """

    payments: Payments
    delay_ms: int
    source: str
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of training: the model's folder and its card (model.json)."""

    folder: Path
    card: Card


@dataclass(frozen=True, slots=True)
class Learnt:
    """A model that no shelf holds yet: its version, LightGBM's text, and the card's details."""

    version: str
    text: str
    features: tuple[str, ...]
    details: dict[str, Any]
    feature_set_version: str = GRAPH.version

    def publish(self, folder: Path, **more: Any) -> Card:
        """Put it on the shelf in `folder`, with `more` sections among its details."""
        return Store(folder).publish(
            self.version,
            "lightgbm",
            {"model.txt": self.text.encode()},
            feature_set_version=self.feature_set_version,
            features=self.features,
            details={**self.details, **more},
        )


def frame_of(
    data: Data, progress: Progress = lambda _: None, kernel: Kernel | None = None
) -> Frame:
    """Return the feature table of all payments, in memory (rows by model features)."""
    return framed(data, computed(data, progress, kernel))


def computed(
    data: Data,
    progress: Progress = lambda _: None,
    kernel: Kernel | None = None,
    graph: Graph = GRAPH,
) -> Matrix:
    """Return what the model reads of each payment, as numbers.

    The kernel computes it; without one the reference engine does, to the same bits.
    """
    payments, delay = data.payments, data.delay_ms
    if kernel is None:
        rows = feature_rows(payments.transactions(), payments.labels(delay), graph)
        return by_reference(rows, graph.table.model, offsets(payments, delay), progress)
    plan = Plan.of(graph.table)
    rows_in = stream(payments, delay, plan.schema(), graph)
    return by_kernel(kernel, plan, rows_in, len(payments), progress)


def framed(data: Data, found: Matrix) -> Frame:
    """Return the numbers with the time, customer and verdict of each payment."""
    payments = data.payments
    return Frame(
        FRAUD.model,
        found.x,
        payments.numbers("is_fraud")[found.places],
        payments.numbers("event_time")[found.places],
        payments.texts("customer_id")[found.places],
    )


def fit(
    split: Split, seed: int, report: Callable[[int], None] = lambda _: None
) -> lightgbm.Booster:
    """Boost on `train`, stop when `validation` no longer gains (average precision)."""

    def told(environment: Any) -> None:
        report(environment.iteration + 1)

    names = list(split.train.features)
    train = lightgbm.Dataset(split.train.x, split.train.y.astype(np.int8), feature_name=names)
    validation = lightgbm.Dataset(
        split.validation.x, split.validation.y.astype(np.int8), reference=train
    )
    return lightgbm.train(
        {**PARAMETERS, "seed": seed},
        train,
        num_boost_round=ROUNDS,
        valid_sets=[validation],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False), told],
    )


def train(
    data: Data,
    folder: Path,
    *,
    seed: int = 7,
    aim: Targets | Costs = USUAL,
    progress: Progress = lambda _: None,
    report: Callable[[int], None] = lambda _: None,
    kernel: Kernel | None = None,
) -> Trained:
    """Train, measure on the test part, and publish on the shelf in `folder`.

    Deterministic: the same data, seed and aim give the same files. Raise UserError if the data
    do not allow it.
    """
    frame = frame_of(data, progress, kernel)
    origin = {
        "source": data.source,
        "rows": len(frame),
        "rejected": data.rejected,
        "digest": frame.digest(),
        "delay_ms": data.delay_ms,
    }
    learnt = learn(by_time(frame, data.delay_ms), origin, seed=seed, aim=aim, report=report)
    card = learnt.publish(folder)
    return Trained(folder / card.version, card)


def learn(
    split: Split,
    origin: Mapping[str, Any],
    *,
    seed: int = 7,
    aim: Targets | Costs = USUAL,
    report: Callable[[int], None] = lambda _: None,
    feature_set_version: str = GRAPH.version,
) -> Learnt:
    """Boost, choose the thresholds, and measure on the parts that were not trained on.

    Thresholds are the lowest that meet the targets, or the cheapest by costs. Frauds are neither
    weighted nor repeated, so that scores stay probabilities. `origin` says where the data came
    from; the card carries it. `feature_set_version` is that of the graph that computed the split's
    features. Deterministic, as `train` is.
    """
    booster = fit(split, seed, report)
    scores = {name: _scores(booster, getattr(split, name)) for name in ("validation", "test")}
    thresholds = aimed(scores["validation"], split.validation, aim)
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    by = "targets" if isinstance(aim, Targets) else "costs"
    chosen = {"thresholds": asdict(thresholds), by: asdict(aim)}
    digest = hashlib.sha256(json.dumps([text, chosen]).encode()).hexdigest()
    details = {
        **chosen,
        "metrics": {
            name: measure(getattr(split, name), found, thresholds.review, thresholds.block)
            for name, found in scores.items()
        },
        "calibration": {
            name: reliability(found, getattr(split, name).y) for name, found in scores.items()
        },
        "distribution": _distribution(booster, split.train),
        "trees": booster.best_iteration,
        "importance": _importance(booster),
        "parameters": PARAMETERS,
        "seed": seed,
        "data": dict(origin),
        "split": {name: _span(getattr(split, name)) for name in ("train", "validation", "test")},
        "libraries": {name: installed(name) for name in LIBRARIES},
    }
    version = f"{feature_set_version}-{digest[:12]}"
    return Learnt(version, text, split.train.features, details, feature_set_version)


def _distribution(booster: lightgbm.Booster, train: Frame) -> dict[str, Any]:
    """Return how features and scores were distributed, for whoever watches their drift."""
    rows = np.column_stack((train.x, _scores(booster, train)))
    return Reference.measure((*train.features, "score"), rows).document()


def _scores(booster: lightgbm.Booster, frame: Frame) -> Floats:
    return np.asarray(booster.predict(frame.x, num_threads=1), dtype=np.float64)


def _importance(booster: lightgbm.Booster) -> dict[str, float]:
    gains = booster.feature_importance("gain")
    total = max(float(gains.sum()), 1e-12)
    ranked = sorted(
        zip(booster.feature_name(), gains, strict=True), key=lambda pair: (-pair[1], pair[0])
    )
    return {name: round(float(gain) / total, 6) for name, gain in ranked}


def _span(frame: Frame) -> dict[str, int]:
    return {
        "from": int(frame.event_time.min()),
        "to": int(frame.event_time.max()),
        "rows": len(frame),
        "frauds": int(frame.y.sum()),
    }

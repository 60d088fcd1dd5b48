"""Measure a model: AUC, average precision, an investigator's daily list, and calibration.

The list is the day's 100 most suspect cards.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

from orchestration.training.frame import Floats, Frame

DAY_MS = 86_400_000
BINS = 10


def card_precision(frame: Frame, scores: Floats, k: int = 100) -> float:
    """Return the mean over days of `daily_card_precision`; 0 without any day."""
    precisions = daily_card_precision(frame, scores, k)
    return float(np.mean(precisions)) if len(precisions) else 0.0


def daily_card_precision(frame: Frame, scores: Floats, k: int = 100) -> Floats:
    """Return the share of compromised cards in each day's top k by score, in order of days.

    A card that was found once is not counted again. Fraud Detection Handbook, chapter 4.4, "Card
    Precision top-k".
    """
    found: set[str] = set()
    precisions: list[float] = []
    days = frame.event_time // DAY_MS
    for day in np.unique(days):
        best: dict[str, tuple[float, bool]] = {}
        for place in np.flatnonzero(days == day):
            card = str(frame.customer[place])
            if card not in found:
                score, fraud = best.get(card, (-1.0, False))
                best[card] = (max(score, float(scores[place])), fraud or bool(frame.y[place]))
        top = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:k]
        hits = [card for card, (_, fraud) in top if fraud]
        found.update(hits)
        precisions.append(len(hits) / k)
    return np.array(precisions, dtype=np.float64)


def ranked(frame: Frame, scores: Floats) -> dict[str, float]:
    """Return the metrics of an order, which need no threshold, by name."""
    return {
        "rows": float(len(frame)),
        "frauds": float(frame.y.sum()),
        "roc_auc": float(roc_auc_score(frame.y, scores)),
        "average_precision": float(average_precision_score(frame.y, scores)),
        "card_precision_100": card_precision(frame, scores, 100),
    }


def measure(frame: Frame, scores: Floats, review: float, block: float) -> dict[str, float]:
    """Return every reported metric, by name."""
    blocked = scores >= block
    reviewed = (scores >= review) & ~blocked
    frauds = max(1, int(frame.y.sum()))
    return {
        **ranked(frame, scores),
        "block_rate": float(blocked.mean()),
        "block_precision": _precision(frame.y, blocked),
        "block_recall": float(frame.y[blocked].sum() / frauds),
        "review_rate": float(reviewed.mean()),
        "review_precision": _precision(frame.y, reviewed),
        "review_recall": float(frame.y[reviewed].sum() / frauds),
    }


def reliability(scores: Floats, y: npt.NDArray[np.bool_], bins: int = BINS) -> dict[str, Any]:
    """Return how far scores are probabilities: a table of equally wide bins, and two errors.

    Each bin that has rows: its `rows`, the mean `score` and the `share` of fraud. `error` is the
    expected calibration error, the mean distance of the two weighted by rows (Guo et al., "On
    Calibration of Modern Neural Networks", 2017), `brier` the mean square error of the scores.
    """
    place = np.minimum((scores * bins).astype(np.int64), bins - 1)
    rows = np.bincount(place, minlength=bins)
    held = np.flatnonzero(rows)
    mean = np.bincount(place, scores, bins)[held] / rows[held]
    share = np.bincount(place, y, bins)[held] / rows[held]
    return {
        "error": float(np.average(np.abs(mean - share), weights=rows[held])),
        "brier": float(np.mean((scores - y) ** 2)),
        "bins": [
            {"from": n / bins, "rows": int(rows[n]), "score": float(one), "share": float(other)}
            for n, one, other in zip(held.tolist(), mean, share, strict=True)
        ],
    }


def _precision(y: npt.NDArray[np.bool_], chosen: npt.NDArray[np.bool_]) -> float:
    return float(y[chosen].mean()) if chosen.any() else 0.0

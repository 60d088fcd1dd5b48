"""Follow each sensor with a threshold of its own, by how critical it is.

Online quantile tracking (Gibbs and Candès 2021; Angelopoulos, Candès and Tibshirani 2023): a window
beyond the threshold raises it by `STEP * q`, any other lowers it by `STEP * (1 - q)`, where q is
the criticality's quantile. Over n windows the share of alarms is at most `1 - q + (R + STEP) /
(STEP * n)`, whatever the windows hold, R being how far their margins lie above the first threshold.

Thresholds are margins (log odds). Pure: what follows from the same windows is the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from domain.alerts.episodes import Criticality
from domain.anomalies.policy import QUANTILES

STEP = 0.5
"""Log odds. One alarm of a normal sensor is undone by 99 usual windows."""
LOWEST = -1.5
"""How far a threshold may fall below the model's own: half the way to training's median."""
FORGOTTEN_MS = 6 * 24 * 3_600_000
"""A sensor that said nothing for so long begins anew; the log that is read for it keeps 7 days."""
_FURTHEST = 36.0
"""Log odds beyond which 64 bits have no score below 1."""


@dataclass(frozen=True, slots=True)
class State:
    """A sensor's threshold, and what it is about.

    `window_start` (ms) is that of its newest window, `threshold` (a margin) holds for the next one,
    and both are about the model `version`, and about the criticality.
    """

    window_start: int
    threshold: float
    version: str
    criticality: Criticality


def margin(score: float) -> float:
    """Return the log odds of a score, within 36 either way."""
    if score <= 0 or score >= 1:
        return math.copysign(_FURTHEST, score - 0.5)
    return max(-_FURTHEST, min(_FURTHEST, math.log(score / (1 - score))))


def score(margin_: float) -> float:
    """Return the score of log odds; the inverse of `margin`."""
    return 1 / (1 + math.exp(-max(-_FURTHEST, min(_FURTHEST, margin_))))


def threshold(
    before: State | None, model: float, version: str, criticality: Criticality, window_start: int
) -> float:
    """Return the threshold of a window; `model` is the model's own for the criticality, a margin.

    It is the model's own for a sensor's first window, after a change of model or criticality, and
    after a silence of `FORGOTTEN_MS`.
    """
    if (
        before is None
        or (before.version, before.criticality) != (version, criticality)
        or window_start - before.window_start > FORGOTTEN_MS
    ):
        return model
    return max(before.threshold, model + LOWEST)


def after(threshold_: float, found: float, model: float, criticality: Criticality) -> float:
    """Return the threshold of the next window, after one of margin `found` against this one."""
    quantile = QUANTILES[criticality]
    moved = quantile if found >= threshold_ else quantile - 1
    return max(threshold_ + STEP * moved, model + LOWEST)

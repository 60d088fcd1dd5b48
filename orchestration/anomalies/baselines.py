"""What the detectors are compared with: rules of thumb, in plain Python."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from domain.sensors.detectors.mewma import Mewma

WINDOW = 1000
"""Readings of the windowed Gaussian, as in NAB."""
SLOW = 1 / 200
"""Weight of a new reading in the z-score's mean and variance."""
SIGMAS = 3.0
"""Standard deviations from which a z-score is an alarm."""
SURE = 0.9973
"""Share of a normal distribution within `SIGMAS`."""


def null(readings: Sequence[float]) -> list[float]:
    """Say nothing: what NAB counts as 0."""
    return [0.5] * len(readings)


def windowed_gaussian(readings: Sequence[float]) -> list[float]:
    """Return the share of a normal distribution nearer to the mean of the last 1,000 readings.

    Sums are of the distances to the first reading, which keeps their digits.
    """
    window: deque[float] = deque()
    total = squares = 0.0
    found = []
    for reading in readings:
        value = reading - readings[0]
        score = 0.0
        if window:
            mean = total / len(window)
            spread = math.sqrt(max(0.0, squares / len(window) - mean * mean)) or 1e-6
            score = math.erf(abs(value - mean) / spread / math.sqrt(2.0))
        found.append(score)
        window.append(value)
        total, squares = total + value, squares + value * value
        if len(window) > WINDOW:
            oldest = window.popleft()
            total, squares = total - oldest, squares - oldest * oldest
    return found


def z_score(readings: Sequence[float]) -> list[float]:
    """Return z / (z + 3) of the distance to a mean that forgets exponentially: 3 gives a half."""
    mean = variance = 0.0
    found = []
    for count, reading in enumerate(readings):
        apart = reading - mean
        sigmas = abs(apart) / math.sqrt(variance) if variance else 0.0
        found.append(sigmas / (sigmas + SIGMAS))
        weight = max(SLOW, 1.0 / (count + 1))
        mean += weight * apart
        variance = (1.0 - weight) * (variance + weight * apart * apart)
    return found


def t_squared(training: int) -> Mewma:
    """Return Hotelling's T-squared: rows by themselves, the limit at training's 99 % quantile."""
    return Mewma(training=training, window=1, settling=0, factor=1.0, ridge=1e-6)

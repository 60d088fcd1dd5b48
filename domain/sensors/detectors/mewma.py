"""Several channels of one asset: a multivariate exponentially weighted moving average.

Lowry, Woodall, Champ & Rigdon, *A Multivariate Exponentially Weighted Moving Average Control
Chart*, Technometrics 1992, with the covariance of the averages themselves (readings follow each
other, so the textbook's formula is too narrow) and a limit from the training rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.sensors.detectors.quantile import quantile

Row = list[float]
FURTHEST = 1e15
"""Values beyond are taken for this: their squares stay finite."""


@dataclass(slots=True)
class Mewma:
    """Learns what is normal from its first `training` rows, then scores against that.

    Rows have one value a channel, in one order. Averages forget as over `window` rows; the first
    `settling` averages are not learnt. The squared distance's limit is `factor` times its 99 %
    quantile in training: 400 rows that follow each other show less than the following thousands.
    While training a key keeps its rows, afterwards n (n + 3) + 1 numbers for n channels.
    """

    training: int = 400
    window: int = 40
    settling: int = 50
    factor: float = 17.0
    ridge: float = 0.02
    average: Row = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    mean: Row = field(default_factory=list)
    inverse: list[Row] = field(default_factory=list)
    limit: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError if nothing would be left to learn from."""
        if self.training < self.settling + 2:
            raise ValueError("there must be more training rows than settle")

    def score(self, row: Sequence[float]) -> float:
        """Return a score in [0, 1], a half at the limit; 0 while training and without numbers."""
        if not all(map(math.isfinite, row)):
            return 0.0
        row = [max(-FURTHEST, min(FURTHEST, x)) for x in row]
        self._follow(row)
        if self.limit:
            share = self._distance(self.average) / self.limit
            return share / (1.0 + share)
        self.rows.append(row)
        if len(self.rows) == self.training:
            self._learn()
        return 0.0

    def _follow(self, row: Sequence[float]) -> None:
        weight = 2.0 / (self.window + 1)
        if not self.average:
            self.average = list(row)
        if len(row) != len(self.average):
            raise ValueError(f"{len(row)} channels, expected {len(self.average)}")
        self.average = [
            old + weight * (new - old) for old, new in zip(self.average, row, strict=True)
        ]

    def _learn(self) -> None:
        """Learn centre, spread and limit; `ridge` is in units of the channels' own variances."""
        averages: list[Row] = []
        self.average = []
        for row in self.rows:
            self._follow(row)
            averages.append(self.average)
        settled = averages[self.settling :]
        self.mean = [math.fsum(column) / len(settled) for column in zip(*settled, strict=True)]
        covariance = [
            [
                math.fsum((row[i] - self.mean[i]) * (row[j] - self.mean[j]) for row in settled)
                / (len(settled) - 1)
                for j in range(len(self.mean))
            ]
            for i in range(len(self.mean))
        ]
        for i, column in enumerate(zip(*self.rows, strict=True)):
            centre = math.fsum(column) / len(column)
            variance = math.fsum((x - centre) ** 2 for x in column) / len(column)
            covariance[i][i] += self.ridge * (variance or 1.0)
        self.inverse = inverted(covariance)
        distances = [self._distance(row) for row in settled]
        self.limit = self.factor * quantile(distances, 0.99) or 1.0
        self.rows = []

    def _distance(self, average: Row) -> float:
        apart = [a - m for a, m in zip(average, self.mean, strict=True)]
        return sum(
            one * sum(c * other for c, other in zip(line, apart, strict=True))
            for one, line in zip(apart, self.inverse, strict=True)
        )


def inverted(matrix: list[Row]) -> list[Row]:
    """Return the inverse of a symmetric positive definite matrix, by Gauss-Jordan elimination."""
    size = len(matrix)
    work = [[*line, *(float(i == j) for j in range(size))] for i, line in enumerate(matrix)]
    for pivot in range(size):
        scale = work[pivot][pivot]
        work[pivot] = [x / scale for x in work[pivot]]
        for i in range(size):
            if i != pivot and work[i][pivot]:
                by = work[i][pivot]
                work[i] = [x - by * y for x, y in zip(work[i], work[pivot], strict=True)]
    return [line[size:] for line in work]

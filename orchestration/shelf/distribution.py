"""Tell how values were distributed in training, and how far others have moved from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10
"""Bins of equal share in training; fewer where many values are equal. One more is for unknowns."""
FLOOR = 1e-4
"""The least share of a bin, so that an empty one leaves the index finite."""

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """How the columns of a training frame were distributed.

    `edges` (columns by BINS - 1) are upper bounds of bins, ascending, infinite where a column has
    fewer; a value equal to an edge lies below it. `shares` (columns by BINS + 1) are the shares of
    the training rows in each bin, the last one that of unknown values (NaN).
    """

    columns: tuple[str, ...]
    edges: Floats
    shares: Floats

    @classmethod
    def measure(cls, columns: Sequence[str], rows: Floats) -> Reference:
        """Measure a frame (rows by columns, NaN: unknown) that has at least one row."""
        edges = np.full((len(columns), BINS - 1), np.inf)
        for place, values in enumerate(rows.T):
            known = values[~np.isnan(values)]
            if known.size:
                inner = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")
                found = np.unique(inner)
                edges[place, : found.size] = found
        made = cls(tuple(columns), edges, np.empty((len(columns), BINS + 1)))
        return cls(made.columns, edges, made.count(rows) / len(rows))

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Reference:
        """Read what a card holds. Raise ValueError, KeyError or TypeError if invalid."""
        columns = tuple(map(str, document))
        edges = np.full((len(columns), BINS - 1), np.inf)
        shares = np.empty((len(columns), BINS + 1))
        for place, one in enumerate(document.values()):
            edges[place, : len(one["edges"])] = one["edges"]
            shares[place] = one["shares"]
        return cls(columns, edges, shares)

    def document(self) -> dict[str, Any]:
        """Return it as JSON holds it, by column."""
        return {
            name: {"edges": edges[np.isfinite(edges)].tolist(), "shares": shares.tolist()}
            for name, edges, shares in zip(self.columns, self.edges, self.shares, strict=True)
        }

    def count(self, rows: Floats) -> Counts:
        """Return how many values of each column lie in each bin (columns by BINS + 1)."""
        width = BINS + 1
        bins = (rows[:, :, None] > self.edges).sum(axis=2)
        bins[np.isnan(rows)] = BINS
        flat = (bins + np.arange(len(self.columns)) * width).ravel()
        counted = np.bincount(flat, minlength=len(self.columns) * width)
        return counted.reshape(len(self.columns), width)

    def psi(self, counts: Counts) -> Floats:
        """Return the population stability index of each column; `counts` as `count` returns.

        It is the sum over bins of (a - e) ln(a / e), where e is a bin's share in training and a its
        share now. Below 0.1 little has moved, above 0.25 much has (Siddiqi, Credit Risk
        Scorecards, 2006).
        """
        now = np.maximum(counts / counts.sum(axis=1, keepdims=True), FLOOR)
        then = np.maximum(self.shares, FLOOR)
        index: Floats = ((now - then) * np.log(now / then)).sum(axis=1)
        return index

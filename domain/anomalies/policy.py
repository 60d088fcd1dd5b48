"""Decide by criticality from which score on a window is an anomaly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from domain.alerts.episodes import Criticality

PRODUCT = "anomalies"
"""The name of the product, and of its shelf of models."""
FEATURE_SET = "windows"
"""The rows that models of this product score: windows, whose features the model's card names."""
QUANTILES: Mapping[Criticality, float] = {"low": 0.998, "normal": 0.99, "high": 0.97}
"""The share of training windows below the threshold of each criticality.

The more critical an asset, the earlier a person wants to know.
"""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The score, 0 to 1, from which on a window of an asset of each criticality is an anomaly.

    Raise ValueError unless 0 < high <= normal <= low <= 1.
    """

    low: float
    normal: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.high <= self.normal <= self.low <= 1:
            raise ValueError(f"thresholds must rise from high to low within 0 to 1: {asdict(self)}")

    def of(self, criticality: Criticality) -> float:
        """Return the threshold of a criticality."""
        return float(asdict(self)[criticality])

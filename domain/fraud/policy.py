"""From a score to a decision: two thresholds, and the reasons that are told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from domain.events import Decision

MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores below `review` are approved, below `block` reviewed, the rest blocked.

    Both are probabilities, 0 to 1.
    """

    review: float
    block: float

    def __post_init__(self) -> None:
        """Refuse what is no probability, or the wrong way round, with a ValueError."""
        for name, value in (("review", self.review), ("block", self.block)):
            if not 0.0 <= value <= 1.0:  # NaN neither
                raise ValueError(f"threshold {name} is {value}, not between 0 and 1")
        if self.review > self.block:
            raise ValueError(f"threshold review ({self.review}) is above block ({self.block})")

    def decide(self, score: float) -> Decision:
        """Decide by score: one equal to a threshold has reached it.

        ValueError: the score is no probability.
        """
        if not 0.0 <= score <= 1.0:
            raise ValueError(f"score is {score}, not between 0 and 1")
        if score >= self.block:
            return "block"
        return "review" if score >= self.review else "approve"


def reasons(
    decision: Decision, contributions: Mapping[str, float], most: int = MOST_REASONS
) -> tuple[str, ...]:
    """Name the features that pushed the score up most, strongest first.

    None for an approved payment.

    `contributions` are per feature, in log odds (LightGBM's pred_contrib); what pushed down or is
    not finite is none. Equal ones come in the order of their names, so that the same payment always
    gives the same reasons.
    """
    if decision == "approve":
        return ()
    pushed = [
        (name, value)
        for name, value in contributions.items()
        if math.isfinite(value) and value > 0.0
    ]
    return tuple(name for name, _ in sorted(pushed, key=lambda item: (-item[1], item[0]))[:most])

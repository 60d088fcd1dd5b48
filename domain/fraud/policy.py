"""From a score to a decision: targets, the thresholds that meet them, and the reasons told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from domain.events import Decision

MOST_REASONS = 3


@dataclass(frozen=True, slots=True)
class Targets:
    """What the decisions shall be worth; training chooses the thresholds by them.

    Of what is blocked, at least `block_precision` is fraud. Of the rest, people look at no more
    than `review_rate` of all payments, and at least `review_precision` of those is fraud.
    """

    block_precision: float = 0.9
    review_rate: float = 0.02
    review_precision: float = 0.15

    def __post_init__(self) -> None:
        """Raise ValueError for what is no share."""
        for name, value in asdict(self).items():
            if not 0.0 <= value <= 1.0:  # NaN neither
                raise ValueError(f"target {name} is {value}, not between 0 and 1")


USUAL = Targets()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores below `review` are approved, below `block` reviewed, the rest blocked.

    Both are probabilities, 0 to 1.
    """

    review: float
    block: float

    def __post_init__(self) -> None:
        """Raise ValueError for what is no probability, or the wrong way round."""
        for name, value in (("review", self.review), ("block", self.block)):
            if not 0.0 <= value <= 1.0:  # NaN neither
                raise ValueError(f"threshold {name} is {value}, not between 0 and 1")
        if self.review > self.block:
            raise ValueError(f"threshold review ({self.review}) is above block ({self.block})")

    def decide(self, score: float) -> Decision:
        """Decide by score: one equal to a threshold has reached it.

        Raise ValueError when the score is no probability.
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

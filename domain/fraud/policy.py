"""Turn a score into a decision: targets or costs, the thresholds, and the reasons given."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from domain.events import Decision

MOST_REASONS = 3
STRENGTH: Mapping[Decision, int] = {"approve": 0, "review": 1, "block": 2}
"""Of two decisions the one with the greater number is the stronger."""


@dataclass(frozen=True, slots=True)
class Targets:
    """The quality that decisions must reach; training chooses the thresholds by it.

    Of the payments blocked, at least `block_precision` are fraud. Of the rest, people review no
    more than `review_rate` of all payments, and at least `review_precision` of those are fraud.
    """

    block_precision: float = 0.9
    review_rate: float = 0.02
    review_precision: float = 0.15

    def __post_init__(self) -> None:
        """Raise ValueError for a target outside 0 to 1."""
        for name, value in asdict(self).items():
            if not 0.0 <= value <= 1.0:  # also refuses NaN
                raise ValueError(f"target {name} is {value}, not between 0 and 1")


USUAL = Targets()


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of decisions, in the currency of the amounts; the alternative to `Targets`.

    A review costs `review` and finds the truth. A genuine payment that is blocked costs `blocked`,
    a fraud that is approved `passed` times its amount. Everything else costs nothing. Elkan, "The
    Foundations of Cost-Sensitive Learning" (IJCAI 2001), with costs that depend on the example.
    """

    review: float = 4.0
    blocked: float = 20.0
    passed: float = 1.0

    def __post_init__(self) -> None:
        """Raise ValueError for a cost that is negative or not finite."""
        for name, value in asdict(self).items():
            if not (math.isfinite(value) and value >= 0.0):
                raise ValueError(f"cost {name} is {value}, not a number of 0 and more")

    def of(self, decision: Decision, *, fraud: bool, amount: float) -> float:
        """Return what a decision on a payment costs; a negative amount, a refund, loses nothing."""
        if decision == "review":
            return self.review
        if decision == "block":
            return 0.0 if fraud else self.blocked
        return self.passed * max(amount, 0.0) if fraud else 0.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores below `review` are approved, below `block` reviewed, the rest blocked.

    Both are probabilities, 0 to 1.
    """

    review: float
    block: float

    def __post_init__(self) -> None:
        """Raise ValueError for a threshold outside 0 to 1, or a `review` above `block`."""
        for name, value in (("review", self.review), ("block", self.block)):
            if not 0.0 <= value <= 1.0:  # also refuses NaN
                raise ValueError(f"threshold {name} is {value}, not between 0 and 1")
        if self.review > self.block:
            raise ValueError(f"threshold review ({self.review}) is above block ({self.block})")

    def decide(self, score: float) -> Decision:
        """Return the decision for a score; a score equal to a threshold has reached it.

        Raise ValueError for a score outside 0 to 1.
        """
        if not 0.0 <= score <= 1.0:
            raise ValueError(f"score is {score}, not between 0 and 1")
        if score >= self.block:
            return "block"
        return "review" if score >= self.review else "approve"


def reasons(
    decision: Decision, contributions: Mapping[str, float], most: int = MOST_REASONS
) -> tuple[str, ...]:
    """Return the features that pushed the score up most, strongest first, at most `most`.

    Return no reasons for an approved payment.

    `contributions` are per feature, in log odds (LightGBM's pred_contrib); those that pushed the
    score down or are not finite are left out. Equal ones come in the order of their names, so that
    the same payment always gives the same reasons.
    """
    if decision == "approve":
        return ()
    pushed = [
        (name, value)
        for name, value in contributions.items()
        if math.isfinite(value) and value > 0.0
    ]
    return tuple(name for name, _ in sorted(pushed, key=lambda item: (-item[1], item[0]))[:most])

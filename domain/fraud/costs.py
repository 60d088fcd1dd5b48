"""What decisions on payments cost, by what they turned out to be."""

from __future__ import annotations

from dataclasses import dataclass

from domain.events import Decision


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs that are not the payment's amount, in the account's currency.

    |         | fraud      | genuine    |
    |---------|------------|------------|
    | approve | its amount | 0          |
    | review  | `review`   | `review`   |
    | block   | 0          | `refusal`  |
    """

    review: float
    refusal: float

    def of(self, decision: Decision, amount: float, *, fraud: bool) -> float:
        """Return the cost of a decision; a refund's amount is no loss."""
        if decision == "review":
            return self.review
        if decision == "block":
            return 0.0 if fraud else self.refusal
        return max(amount, 0.0) if fraud else 0.0

"""Check that a model suits card fraud: features that the job computes, thresholds, and reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from domain.fraud.features import FRAUD
from domain.fraud.policy import Thresholds
from orchestration.shelf.card import Card, UnusableModelError
from orchestration.shelf.distribution import Reference
from orchestration.shelf.kinds import Matrix, Scores
from orchestration.shelf.shelf import Accept


@runtime_checkable
class Explaining(Protocol):
    """A predictor that attributes a score to the features."""

    def predict(self, rows: Matrix) -> Scores:
        """Return the score of each row (one column a feature, NaN: unknown)."""
        ...

    def contributions(self, rows: Matrix) -> list[dict[str, float]]:
        """Return what each feature adds to each row's score, in log odds."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model with what it expects and how its score becomes a decision."""

    version: str
    feature_set_version: str
    features: tuple[str, ...]
    thresholds: Thresholds
    predictor: Explaining
    reference: Reference | None = None


def accepting(known: frozenset[str]) -> Accept[Model]:
    """Return what makes a model of a card and a predictor, for features `known` to be computed.

    It raises UnusableModelError, ValueError, KeyError or TypeError for a model that cannot decide:
    one that needs features that are not computed, has inconsistent thresholds, or gives no reasons.
    """

    def accept(card: Card, predictor: Any) -> Model:
        if not isinstance(predictor, Explaining):
            raise UnusableModelError(
                f"{card.version}: a model of kind {card.kind} gives no reasons"
            )
        if unknown := sorted(set(card.features) - known):
            raise UnusableModelError(
                f"{card.version} (feature set {card.feature_set_version}) needs features that are "
                f"not computed: {', '.join(unknown)}"
            )
        thresholds = Thresholds(**card.details["thresholds"])
        trained = card.details.get("distribution")  # models of earlier releases have none
        return Model(
            card.version,
            card.feature_set_version,
            card.features,
            thresholds,
            predictor,
            None if trained is None else Reference.of(trained),
        )

    return accept


accept = accepting(frozenset(FRAUD.features))
"""Make card fraud's model of a card and a predictor."""

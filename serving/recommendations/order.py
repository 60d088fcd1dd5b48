"""Check that a model is an order of candidates, and hold its trees as the engine walks them."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from orchestration.recommendations.engine.reranking import FEATURE_SET, FEATURES
from orchestration.recommendations.engine.trees import Trees, trees_of
from orchestration.shelf.card import Card, UnusableModelError

TRAIN = "millrace train recommendations --data SESSIONS --promote"


@runtime_checkable
class Dumping(Protocol):
    """A predictor that tells its trees."""

    def dump(self) -> dict[str, Any]:
        """Return the trees as LightGBM tells them."""
        ...


def accept(card: Card, predictor: Any) -> Trees:
    """Return the trees of a model.

    Raise UnusableModelError, or ValueError, for one that is not made of trees, or was learnt from
    other features than the engine computes.
    """
    if not isinstance(predictor, Dumping):
        raise UnusableModelError(f"{card.version}: a model of kind {card.kind} tells no trees")
    if (card.feature_set_version, card.features) != (FEATURE_SET, FEATURES):
        raise UnusableModelError(
            f"{card.version} was learnt from {card.feature_set_version}; "
            f"candidates are described by {FEATURE_SET} now"
        )
    return trees_of(predictor.dump())

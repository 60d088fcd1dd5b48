"""Have Numba compile the engine: at set-up, and before the consumer's records wait for it."""

from __future__ import annotations

from orchestration.recommendations.engine.index import Bounds
from orchestration.recommendations.engine.item import Item, Wish
from orchestration.recommendations.engine.recommender import Recommender
from orchestration.recommendations.engine.trees import trees_of


def rehearse() -> list[Item]:
    """Learn and ask of an engine made for it, so that Numba compiles, and return what it answers.

    The first visitors' lists would wait for it, and what runs beside it would, too.
    """
    engine = Recommender(Bounds(sessions=16, items=64, postings=256, clicks=64))
    actions = ["view", "addtocart", "transaction"]
    for number, items in enumerate((["a", "b", "c"], ["b", "c", "d"], ["c", "d", "e"])):
        for clicks in range(1, len(items) + 1):
            engine.observe(str(number), number, items[:clicks], actions[:clicks], clicks)
    engine.index.available("e", yes=False)
    engine.popularity.refresh()
    engine.popular()
    engine.recommend(["a", "b"], actions[:2], Wish(), "0")
    engine.trees = trees_of({"tree_info": [{"tree_structure": {"leaf_value": 0.0}}]})
    return engine.recommend(["a", "b"], actions[:2], Wish(), "0")

"""Score order lines: order-features in, decision into Redis and onto order-scores."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from config.settings import Settings
from domain.features.words import Words
from domain.orders.features import GRAPH, ORDERS
from domain.times import record_of
from ingestion import schema
from orchestration.shelf.shelf import WATCH_S, Shelf
from serving.consumers.models import ModelInfo
from serving.consumers.product import Incoming, Output, Product, Result
from serving.consumers.run import run
from serving.fraud.model import Model, accepting
from serving.fraud.scoring import Scored, Scorer
from serving.orders import keys

TRAIN = "millrace train orders --promote"
SCORES = "order-scores"
DAY_MS = 24 * 60 * 60 * 1000
FIELDS = frozenset(field["name"] for field in schema.load("OrderScore")["fields"])
WORDS = Words(ORDERS)
TOLD = (
    *("order_id", "event_id", "user_id", "item_id", "event_time"),
    *("feature_set_version", "late", "sequence", "produced_at"),
)
accept = accepting(frozenset(ORDERS.model))


class Orders(Product):
    """Score each order line and keep the decision for `kept_ms` (None: for good)."""

    name = "orders"
    topics = ("order-features",)

    def __init__(
        self,
        shelf: Shelf[Model],
        now: Callable[[], float] = time.time,
        kept_ms: int | None = None,
    ) -> None:
        self._shelf, self._now, self._kept_ms = shelf, now, kept_ms
        self._scorer = Scorer(shelf, GRAPH.version, TRAIN)

    def register(self, registry: CollectorRegistry) -> None:
        """Tell which models score."""
        registry.register(ModelInfo(self.name, self._shelf))

    def waiting(self) -> str | None:
        """Return which model is missing: order lines wait in Kafka until one is promoted."""
        return self._scorer.waiting()

    def notice(self) -> str | None:
        """Return why the current model was refused while an earlier one scores."""
        return self._scorer.notice()

    def probe(self) -> bool:
        """Score a made-up line without history by the model of today's features."""
        model = self._scorer.current()
        if model is None:
            return False
        known: dict[str, Any] = dict.fromkeys((*TOLD, *ORDERS.model))
        known |= dict.fromkeys(("order_id", "event_id", "user_id", "item_id"), "probe")
        known |= {"event_time": 0, "sequence": 0, "produced_at": 0, "late": False}
        self._score(model, [Incoming(known, timestamp=0, offset=0)])
        return True

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Score a batch.

        Raise RetryableError for rows of a feature-set version that no model serves.
        """
        return self._scorer.each(batch, self._score)

    def _score(self, model: Model, batch: Sequence[Incoming]) -> list[Result]:
        scored = Scored.by(model, batch)
        told = scored.reasons(
            [place for place, made in enumerate(scored.decisions) if made != "approve"]
        )
        scored_at = int(self._now() * 1000)
        return [
            self._result(
                {
                    **{name: row.record[name] for name in TOLD},
                    "score": scored.scores[place],
                    "decision": scored.decisions[place],
                    "reasons": list(told[place]),
                    "explanations": [
                        WORDS.sentence(name, row.record[name]) for name in told[place]
                    ],
                    "model_version": model.version,
                    "features_at": row.timestamp,
                    "scored_at": scored_at,
                }
            )
            for place, row in enumerate(batch)
        ]

    def _result(self, record: dict[str, Any]) -> Result:
        output = Output(SCORES, record["order_id"], record)
        return Result(keys.decision(record, self._kept_ms), (output,), record["produced_at"])

    def restore(self, data: bytes) -> dict[str, Any]:
        """Return the OrderScore behind stored bytes, with the fields that the schema has now."""
        stored = record_of(orjson.loads(data), keys.TIMES)
        return {name: value for name, value in stored.items() if name in FIELDS}


def make(configured: Settings) -> Orders:
    """Return the product with its shelf of models, watched."""
    shelf = Shelf(configured.state_dir / "models" / Orders.name, accept, TRAIN)
    shelf.watch(WATCH_S, threading.Event())
    return Orders(shelf, kept_ms=configured.decisions_kept_days * DAY_MS)


if __name__ == "__main__":
    run(Orders.name, make)

"""Score payments: fraud-features in, decision into Redis and onto fraud-scores."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import orjson
from prometheus_client import CollectorRegistry

from config import instruments
from config.settings import Settings
from domain.fraud.features import FRAUD
from domain.fraud.graph import GRAPH
from domain.fraud.words import explanations, words
from domain.times import record_of
from ingestion import schema
from ingestion.fraud import rules
from orchestration.shelf.shelf import WATCH_S, Shelf
from serving.consumers.drift import Drift
from serving.consumers.models import ModelInfo
from serving.consumers.product import Incoming, Output, Product, Result
from serving.consumers.run import run
from serving.fraud import keys
from serving.fraud.lists import KnownLists, follow
from serving.fraud.model import Model, accept
from serving.fraud.ruling import Ruling, Rulings
from serving.fraud.scoring import Scored, Scorer
from serving.fraud.shadow import Shadow
from serving.store import Write

TRAIN = "millrace train fraud --simulate --promote"
SCORES = "fraud-scores"
SPARSE = 0.5
"""A payment of which a larger share of the features is unknown is scored on little."""
DAY_MS = 24 * 60 * 60 * 1000
FIELDS = frozenset(field["name"] for field in schema.load("FraudScore")["fields"])
WORDS = words(FRAUD)
CARRIED = ("transaction_id", "customer_id", "terminal_id", "event_time", "amount")


class Fraud(Product):
    """Score each feature vector, apply rules and lists, and keep the decision for `kept_ms`.

    None keeps it for good. Rules decide beside a model, never instead of one: without a model
    payments wait.
    """

    name = "fraud"
    topics = ("fraud-features",)

    def __init__(
        self,
        shelf: Shelf[Model],
        now: Callable[[], float] = time.time,
        kept_ms: int | None = None,
        rulings: Rulings | None = None,
    ) -> None:
        self._shelf, self._now, self._kept_ms = shelf, now, kept_ms
        self._scorer = Scorer(shelf, GRAPH.version, "millrace train fraud --promote")
        self._rulings = Rulings() if rulings is None else rulings
        self._shadow = Shadow(shelf)
        self._drift = Drift(self.name)
        self._decisions = instruments.counter("millrace_fraud_decisions_total")

    def register(self, registry: CollectorRegistry) -> None:
        """Tell which models score, and which rules are in use and hit."""
        registry.register(ModelInfo(self.name, self._shelf))
        self._rulings.register(registry)
        self._shadow.register(registry)
        registry.register(self._drift)
        registry.register(self._decisions)

    def missing(self) -> str | None:
        """Return why rules or lists cannot be used: payments are not decided without them."""
        return self._rulings.missing()

    def waiting(self) -> str | None:
        """Return which model is missing: payments wait in Kafka until one is promoted."""
        return self._scorer.waiting()

    def notice(self) -> str | None:
        """Return why the current model, rules or lists are not in use while earlier ones decide."""
        return "; ".join(filter(None, (self._scorer.notice(), self._rulings.notice()))) or None

    def probe(self) -> bool:
        """Score a made-up payment without history by the model of today's features."""
        model = self._scorer.current()
        if model is None:
            return False
        known: dict[str, Any] = dict.fromkeys((*CARRIED, *FRAUD.features))
        known |= {"transaction_id": "probe", "customer_id": "probe", "terminal_id": "probe"}
        known |= {"event_time": 0, "amount": 1.0, "sequence": 0, "produced_at": 0, "late": False}
        record = {**known, "feature_set_version": GRAPH.version}
        batch = [Incoming(record, timestamp=0, offset=0)]
        scored = Scored.by(model, batch)
        # Not by `_score`, which counts: nobody paid.
        self._results(scored, self._ruled(scored, batch), batch)
        return True

    def handle(self, batch: Sequence[Incoming]) -> list[Result]:
        """Score a batch.

        Raise RetryableError for rows of a feature-set version that no model serves.
        """
        return self._scorer.each(batch, self._score)

    def _score(self, model: Model, batch: Sequence[Incoming]) -> list[Result]:
        scored = Scored.by(model, batch)
        ruled = self._ruled(scored, batch)
        self._rulings.count(ruled)
        self._watch(scored, batch, ruled)
        results = self._results(scored, ruled, batch)
        # Last, so that a challenger finds the decisions made.
        beside = self._shadow.beside(scored, batch, ruled, int(self._now() * 1000))
        return [
            result._replace(outputs=result.outputs + more) if more else result
            for result, more in zip(results, beside, strict=True)
        ]

    def _ruled(self, scored: Scored, batch: Sequence[Incoming]) -> list[Ruling]:
        now = int(self._now() * 1000)
        return self._rulings.of([row.record for row in batch], scored.decisions, now)

    def _results(
        self, scored: Scored, ruled: Sequence[Ruling], batch: Sequence[Incoming]
    ) -> list[Result]:
        told = scored.reasons(
            [
                place
                for place, decision in enumerate(scored.decisions)
                if decision != "approve" and ruled[place].decision != "approve"
            ]
        )
        scored_at = int(self._now() * 1000)
        return [
            self._result(
                row,
                {
                    **{name: row.record[name] for name in CARRIED},
                    "score": scored.scores[place],
                    "decision": ruled[place].decision,
                    "reasons": [*ruled[place].reasons(), *told[place]],
                    "explanations": [
                        *ruled[place].explanations(),
                        *explanations(WORDS, told[place], row.record),
                    ],
                    "model_version": scored.model.version,
                    "model_decision": scored.decisions[place],
                    **ruled[place].fields(),
                    "feature_set_version": row.record["feature_set_version"],
                    "late": row.record["late"],
                    "sequence": row.record["sequence"],
                    "produced_at": row.record["produced_at"],
                    "features_at": row.timestamp,
                    "scored_at": scored_at,
                },
            )
            for place, row in enumerate(batch)
        ]

    def _watch(self, scored: Scored, batch: Sequence[Incoming], ruled: Sequence[Ruling]) -> None:
        """Count the decisions, and look at the rows for drift."""
        model = scored.model
        self._drift.take(model.version, model.reference, scored.rows, scored.scores)
        sparse = np.isnan(scored.rows).mean(axis=1) > SPARSE
        for row, ruling, lacking in zip(batch, ruled, sparse, strict=True):
            late = "true" if row.record["late"] else "false"
            features = "sparse" if lacking else "known"
            self._decisions.labels(ruling.decision, late, features).inc()

    def _result(self, row: Incoming, record: dict[str, Any]) -> Result:
        writes: tuple[Write, ...] = (keys.decision(record, self._kept_ms),)
        if record["decision"] != "approve":
            features = {name: row.record[name] for name in FRAUD.features}
            writes += (keys.suspect(record, features, self._kept_ms),)
        return Result(
            writes,
            (Output(SCORES, record["transaction_id"], record),),
            record["produced_at"],
        )

    def restore(self, data: bytes) -> dict[str, Any]:
        """Return the FraudScore behind stored bytes.

        Of one stored by another release, return the fields that the schema has now. Fields it has
        gained since have a default, which the encoder fills in.
        """
        return {
            name: value
            for name, value in record_of(orjson.loads(data), keys.TIMES).items()
            if name in FIELDS
        }


def make(configured: Settings) -> Fraud:
    """Return the product with its models, rules and lists, all watched."""
    shelf = Shelf(configured.state_dir / "models" / Fraud.name, accept, TRAIN)
    shelf.watch(WATCH_S, threading.Event())
    known = KnownLists()
    follow(known, configured, threading.Event())
    return Fraud(
        shelf,
        kept_ms=configured.decisions_kept_days * DAY_MS,
        rulings=Rulings(rules.watched(configured.rules_file, time.monotonic), known),
    )


if __name__ == "__main__":
    run(Fraud.name, make)

"""Score payments by a challenger beside the model in use; it decides nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from config import instruments
from domain.fraud.lists import decided
from orchestration.shelf.shelf import Shelf
from serving.consumers.product import Output
from serving.fraud.model import Model
from serving.fraud.ruling import Ruling
from serving.fraud.scoring import Batch, Scored

SHADOW_SCORES = "fraud-shadow-scores"
FAILURES, SLOW = 3, 10
"""Batches in a row after which a challenger that fails, or is slow, is set aside."""
BATCH_S, ROW_S = 0.01, 0.0001
"""What a batch and each of its rows may take of the processor; today's take a quarter of it."""
CARRIED = ("transaction_id", "customer_id", "event_time", "amount", "feature_set_version")

log = structlog.get_logger(__name__)


class Shadow(Collector):
    """The challenger of a shelf.

    Whatever goes wrong with it is counted and logged, and the payments of that batch are not scored
    by it. After `FAILURES` such batches in a row, or `SLOW` ones that took too long, it is set
    aside until a challenger is named again.
    """

    def __init__(self, shelf: Shelf[Model], clock: Callable[[], float] = time.thread_time) -> None:
        self._shelf, self._clock = shelf, clock
        self._payments = instruments.counter("millrace_shadow_payments_total")
        self._difference = instruments.counter("millrace_shadow_score_difference_total")
        self._seconds = instruments.counter("millrace_shadow_seconds_total")
        self._failures = instruments.counter("millrace_shadow_failures_total")
        self._take(None)

    def _take(self, model: Model | None) -> None:
        self._model, self._aside, self._failed, self._slow = model, "", 0, 0

    def register(self, registry: CollectorRegistry) -> None:
        """Add the metrics to those that the process serves."""
        registry.register(self._payments)
        registry.register(self._difference)
        registry.register(self._seconds)
        registry.register(self._failures)
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return which challenger there is, and how it fares."""
        model, refused = self._shelf.challenger, self._shelf.challenger_refused
        told: dict[tuple[str, ...], float] = {}
        # One that is in use is no challenger, though a promotion that was killed left its name.
        if model is not None and model.version not in self._shelf.held.values():
            told[model.version, (model is self._model and self._aside) or "scoring"] = 1.0
        elif refused is not None:
            told[refused[0], "refused"] = 1.0
        yield instruments.family("millrace_shadow_info", told)

    def beside(
        self, scored: Scored, batch: Batch, ruled: Sequence[Ruling], now: int
    ) -> list[tuple[Output, ...]]:
        """Return what the challenger says of each payment of a batch, as records to produce.

        That is nothing without a challenger, for rows of another feature set than its own, and if
        the model in use is the challenger. `now` is in ms. Raise nothing.
        """
        nothing: list[tuple[Output, ...]] = [()] * len(batch)
        model = self._shelf.challenger
        if model is not self._model:
            self._take(model)
        if model is None or self._aside or model.version == scored.model.version:
            return nothing
        if batch[0].record["feature_set_version"] != model.feature_set_version:
            return nothing
        began = self._clock()
        try:
            theirs = Scored.by(model, batch, scored)
            records = [
                {
                    **{name: row.record[name] for name in CARRIED},
                    **_compared(scored, theirs, place, ruled[place]),
                    "scored_at": now,
                }
                for place, row in enumerate(batch)
            ]
        except Exception as error:  # a challenger is on trial: it must not stop a payment
            self._failures.labels(model.version).inc()
            self._failed += 1
            log.warning("challenger failed", model=model.version, error=repr(error))
            if self._failed >= FAILURES:
                self._set_aside(model, "failing")
            return nothing
        took = self._clock() - began
        self._failed = 0
        self._slow = self._slow + 1 if took > BATCH_S + ROW_S * len(batch) else 0
        if self._slow >= SLOW:
            self._set_aside(model, "slow")
        self._count(model, records, took)
        return [(Output(SHADOW_SCORES, one["transaction_id"], one),) for one in records]

    def _set_aside(self, model: Model, why: str) -> None:
        self._aside = why
        log.error("challenger set aside", model=model.version, why=why)

    def _count(self, model: Model, records: Sequence[dict[str, Any]], took: float) -> None:
        for one in records:
            stands, would = one["champion_decision"], one["challenger_decision"]
            differs = "true" if stands != would else "false"
            self._payments.labels(model.version, stands, would, differs).inc()
        apart = sum(abs(one["challenger_score"] - one["champion_score"]) for one in records)
        self._difference.labels(model.version).inc(apart)
        self._seconds.labels(model.version).inc(max(0.0, took))


def _compared(ours: Scored, theirs: Scored, place: int, ruling: Ruling) -> dict[str, Any]:
    return {
        "champion": ours.model.version,
        "champion_score": ours.scores[place],
        "champion_decision": ruling.decision,
        "challenger": theirs.model.version,
        "challenger_score": theirs.scores[place],
        "challenger_decision": decided(theirs.decisions[place], ruling.listed, ruling.hits),
    }

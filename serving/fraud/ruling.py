"""Apply the rules of a file to payments, and tell Prometheus of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from config import instruments
from config.watched import Watched
from domain.events import Decision
from domain.fraud.rules import REASON, Rule, Rules, ruled

NONE = Rules()


@dataclass(frozen=True, slots=True)
class Ruling:
    """What rules make of a payment on which the model decided."""

    decision: Decision
    hits: Sequence[Rule]
    version: str

    @property
    def active(self) -> list[Rule]:
        """Return the rules that decide."""
        return [rule for rule in self.hits if rule.mode == "active"]

    def reasons(self) -> list[str]:
        """Return the active rules as reasons."""
        return [REASON + rule.name for rule in self.active]

    def explanations(self) -> list[str]:
        """Return the words of the active rules."""
        return [rule.words for rule in self.active]

    def fields(self) -> dict[str, Any]:
        """Return what the record of the decision says of rules."""
        return {
            "rules_version": self.version,
            "rules": [rule.name for rule in self.active],
            "shadow_rules": [rule.name for rule in self.hits if rule.mode == "shadow"],
        }


class Rulings(Collector):
    """The rules in use. Without a file there are none.

    Its metrics are `millrace_rule_hits_total`, `millrace_rules_info` and
    `millrace_rules_refused_total`.
    """

    def __init__(self, file: Watched[Rules] | None = None) -> None:
        self._file = file
        self._hits = instruments.counter("millrace_rule_hits_total")

    def missing(self) -> str | None:
        """Return why there are no rules to begin with; None if there are."""
        if self._file is None or self._file.look() is not None:
            return None
        return f"no usable rules: {self._file.trouble}"

    def notice(self) -> str | None:
        """Return why the file's newest version is not in use; None if it is."""
        if self._file is None or self._file.look() is None or self._file.trouble is None:
            return None
        return f"the rules stay as they were: {self._file.trouble}"

    def of(self, records: Sequence[dict[str, Any]], decisions: Sequence[Decision]) -> list[Ruling]:
        """Return what the rules make of the model's decisions on feature records."""
        rules = NONE if self._file is None else self._file.look() or NONE
        made = []
        for record, decision in zip(records, decisions, strict=True):
            hits = rules.hits(record)
            made.append(Ruling(ruled(decision, hits), hits, rules.version))
        return made

    def count(self, rulings: Iterable[Ruling]) -> None:
        """Count the hits."""
        for ruling in rulings:
            for rule in ruling.hits:
                self._hits.labels(rule.name, rule.mode, rule.action).inc()

    def register(self, registry: CollectorRegistry) -> None:
        """Add the metrics to those that the process serves."""
        registry.register(self._hits)
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return which rules are in use, and how many versions of the file were refused."""
        file = self._file
        held = file.declared if file is not None else None
        if held is not None:
            yield instruments.family("millrace_rules_info", {(held.version,): 1.0})
        yield instruments.family("millrace_rules_refused_total", file.refused if file else 0)

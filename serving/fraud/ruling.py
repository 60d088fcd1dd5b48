"""Apply rules and lists to payments on which a model decided, and count what they do."""

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
from domain.fraud import lists, rules
from domain.fraud.lists import Entry, decided
from domain.fraud.rules import Rule, Rules
from serving.fraud.lists import KnownLists

NONE = Rules()


@dataclass(frozen=True, slots=True)
class Ruling:
    """What lists and rules make of a payment on which the model decided.

    `offset` is the place in the lists' log up to which they were known.
    """

    decision: Decision
    hits: Sequence[Rule]
    version: str
    listed: Sequence[Entry] = ()
    offset: int = -1

    @property
    def active(self) -> list[Rule]:
        """Return the rules that decide."""
        return [rule for rule in self.hits if rule.mode == "active"]

    def reasons(self) -> list[str]:
        """Return the lists that block and the active rules as reasons."""
        blocked = [lists.REASON + entry.place for entry in self._blocked]
        return blocked + [rules.REASON + rule.name for rule in self.active]

    def explanations(self) -> list[str]:
        """Return the same in words."""
        words = [entry.words for entry in self._blocked]
        return words + [rule.words for rule in self.active]

    @property
    def _blocked(self) -> list[Entry]:
        return [entry for entry in self.listed if entry.list == "blocked"]

    def fields(self) -> dict[str, Any]:
        """Return what the record of the decision says of rules and lists."""
        return {
            "rules_version": self.version,
            "rules": [rule.name for rule in self.active],
            "shadow_rules": [rule.name for rule in self.hits if rule.mode == "shadow"],
            "listed": [entry.place for entry in self.listed],
            "lists_offset": self.offset,
        }


class Rulings(Collector):
    """The rules and lists in use; without a file there are no rules.

    Its metrics are `millrace_rule_hits_total`, `millrace_listed_payments_total`,
    `millrace_rules_info` and `millrace_rules_refused_total`.
    """

    def __init__(self, file: Watched[Rules] | None = None, known: KnownLists | None = None) -> None:
        self._file, self._known = file, known
        self._hits = instruments.counter("millrace_rule_hits_total")
        self._listed = instruments.counter("millrace_listed_payments_total")

    def missing(self) -> str | None:
        """Return why there are no rules or lists to begin with; None if there are."""
        if self._file is not None and self._file.look() is None:
            return f"no usable rules: {self._file.trouble}"
        return None if self._known is None else self._known.missing()

    def notice(self) -> str | None:
        """Return why the newest rules or lists are not in use; None if they are."""
        told = []
        if self._file is not None and self._file.look() is not None and self._file.trouble:
            told.append(f"the rules stay as they were: {self._file.trouble}")
        if self._known is not None and self._known.trouble:
            told.append(f"the lists may be out of date: {self._known.trouble}")
        return "; ".join(told) or None

    def of(
        self, records: Sequence[dict[str, Any]], decisions: Sequence[Decision], now: int
    ) -> list[Ruling]:
        """Return what lists and rules make of the model's decisions on feature records.

        `now` (ms) is when entries of lists must hold.
        """
        in_use = NONE if self._file is None else self._file.look() or NONE
        listed, offset = (
            ([[] for _ in records], -1) if self._known is None else (self._known.of(records, now))
        )
        made = []
        for record, decision, entries in zip(records, decisions, listed, strict=True):
            hits = in_use.hits(record)
            stands = decided(decision, entries, hits)
            made.append(Ruling(stands, hits, in_use.version, entries, offset))
        return made

    def count(self, rulings: Iterable[Ruling]) -> None:
        """Count the hits."""
        for ruling in rulings:
            for rule in ruling.hits:
                self._hits.labels(rule.name, rule.mode, rule.action).inc()
            for entry in ruling.listed:
                self._listed.labels(entry.list, entry.kind).inc()

    def register(self, registry: CollectorRegistry) -> None:
        """Add the metrics to those that the process serves."""
        registry.register(self._hits)
        registry.register(self._listed)
        registry.register(self)

    def collect(self) -> Iterable[Metric]:
        """Return which rules are in use, and how many versions of the file were refused."""
        file = self._file
        held = file.declared if file is not None else None
        if held is not None:
            yield instruments.family("millrace_rules_info", {(held.version,): 1.0})
        yield instruments.family("millrace_rules_refused_total", file.refused if file else 0)

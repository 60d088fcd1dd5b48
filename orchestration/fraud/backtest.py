"""Say what rules would have decided on payments that the lake has, and what that had cost.

Rules see the vectors as they were logged, the very numbers that the scorer saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.events import Decision
from domain.fraud.policy import Costs
from domain.fraud.rules import Rule, Rules, ruled
from orchestration.fraud.lake import NEWEST, VECTORS, VERDICTS
from orchestration.retraining.lake import Ask, moment

SCORES = "bronze.fraud_scores"
DECISION, AMOUNT, FRAUD = "_decision", "_amount", "_fraud"
_AT_ONCE = 10_000


@dataclass
class Tally:
    """Count the payments that a rule hits.

    `judged` are those with a verdict. `flagged` are those that the model reviewed or blocked
    itself, `stronger` those whose decision the rule would raise. `cost` is what the judged ones
    cost with the rule beside the model, `without` what they cost with the model alone.
    """

    hits: int = 0
    judged: int = 0
    frauds: int = 0
    flagged: int = 0
    stronger: int = 0
    cost: float = 0.0
    without: float = 0.0


@dataclass
class Backtest:
    """Apply rules to payments, as if all of them were active; `costs` weigh their outcomes.

    Rows have the fields that rules read, and `_decision` (the model's own; None: never scored),
    `_amount` and `_fraud` (None: no verdict). Those never scored count as approved.
    """

    rules: Rules
    costs: Costs
    payments: int = 0
    scored: int = 0
    judged: int = 0
    frauds: int = 0
    model_cost: float = 0.0
    active_cost: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with a tally for each rule."""
        self.tallies = {rule.name: Tally() for rule in self.rules.rules}

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take up payments."""
        for row in rows:
            self._add(row)

    def _add(self, row: Mapping[str, Any]) -> None:
        model: Decision = row[DECISION] or "approve"
        fraud: bool | None = row[FRAUD]
        hits = self.rules.hits(row)
        self.payments += 1
        self.scored += row[DECISION] is not None
        if fraud is not None:
            self.judged += 1
            self.frauds += fraud
            self.model_cost += self.costs.of(model, fraud=fraud, amount=row[AMOUNT])
            self.active_cost += self.costs.of(ruled(model, hits), fraud=fraud, amount=row[AMOUNT])
        for rule in hits:
            self._hit(self.tallies[rule.name], rule, model, row[AMOUNT], fraud)

    def _hit(
        self, tally: Tally, rule: Rule, model: Decision, amount: float, fraud: bool | None
    ) -> None:
        together = _stronger(model, rule)
        tally.hits += 1
        tally.flagged += model != "approve"
        tally.stronger += together != model
        if fraud is not None:
            tally.judged += 1
            tally.frauds += fraud
            tally.without += self.costs.of(model, fraud=fraud, amount=amount)
            tally.cost += self.costs.of(together, fraud=fraud, amount=amount)

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON types; shares are None where nothing was to be shared."""
        return {
            "version": self.rules.version,
            "payments": self.payments,
            "scored": self.scored,
            "judged": self.judged,
            "frauds": self.frauds,
            "cost": {"model": self.model_cost, "with_active_rules": self.active_cost},
            "rules": [self._told(rule) for rule in self.rules.rules],
        }

    def _told(self, rule: Rule) -> dict[str, Any]:
        tally = self.tallies[rule.name]
        return {
            "name": rule.name,
            "action": rule.action,
            "mode": rule.mode,
            "hits": tally.hits,
            "judged": tally.judged,
            "frauds": tally.frauds,
            "precision": _share(tally.frauds, tally.judged),
            "recall": _share(tally.frauds, self.frauds),
            "overlap": _share(tally.flagged, tally.hits),
            "stronger": tally.stronger,
            "cost_change": tally.cost - tally.without,
        }


def backtest(ask: Ask, rules: Rules, costs: Costs, since: int, until: int) -> Backtest:
    """Return how rules fare on the lake's payments of a time span, in ms since 1970.

    Raise UserError if the lake lacks a table.
    """
    done = Backtest(rules, costs)
    answer = ask(_query(rules, since, until), (VECTORS, SCORES, VERDICTS), {})
    for batch in answer.rows.to_batches(max_chunksize=_AT_ONCE):
        done.add(batch.to_pylist())
    return done


def _stronger(model: Decision, rule: Rule) -> Decision:
    """Return the decision with a rule as if it were active."""
    return ruled(model, [Rule(rule.name, rule.words, rule.when, rule.action)])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _query(rules: Rules, since: int, until: int) -> str:
    """Return the question.

    Jobs write at least once, so a payment's first vector and first score count; of its verdicts the
    newest. A score of an earlier release has no decision of the model alone: its decision was that.
    """
    fields = sorted({name for rule in rules.rules for name in rule.fields})
    read = "".join(f', paid."{name}"' for name in fields)
    return f"""
    with paid as (
      select * from {VECTORS}
      where event_time >= {moment(since)} and event_time < {moment(until)}
      qualify row_number() over (
        partition by transaction_id order by _partition, _offset) = 1
    ),
    scored as (
      select transaction_id, coalesce(nullif(model_decision, ''), decision) as {DECISION}
      from {SCORES} semi join paid using (transaction_id)
      qualify row_number() over (
        partition by transaction_id order by _partition, _offset) = 1
    ),
    judged as (
      select transaction_id, is_fraud as {FRAUD}
      from {VERDICTS} semi join paid using (transaction_id)
      where is_fraud is not null {NEWEST}
    )
    select paid.amount as {AMOUNT}, {DECISION}, {FRAUD}{read}
    from paid left join scored using (transaction_id) left join judged using (transaction_id)
    """  # noqa: S608  (numbers and names of ours)

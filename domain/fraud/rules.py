"""Declare rules that decide beside the model, as data, and apply them to a payment's features.

A rule has conditions on fields of the feature record; it hits if all of them hold. A condition on a
value that is not known does not hold, whatever it compares (except `known`). An active rule that
hits raises the decision to its action at least; a shadow rule is only recorded.
"""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from domain.events import Decision
from domain.features.declaration import Comparison, Op
from domain.fraud.policy import STRENGTH

Action = Literal["review", "block"]
Mode = Literal["active", "shadow"]
Record = Mapping[str, Any]
Test = Callable[[Record], bool]

REASON = "rule:"
"""The prefix of a rule's name among the reasons of a decision."""
_DIGITS = 12


def _differs(value: Any, other: Any) -> bool:
    # Unknown values may come as NaN, which meets no other comparison but differs from itself.
    return bool(value == value and other == other and value != other)  # noqa: PLR0124


SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": _differs,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Scaled:
    """Compare a field with `times` another one."""

    column: str
    op: Op
    of: str
    times: float = 1.0

    def spec(self) -> dict[str, Any]:
        """Return the comparison in JSON's types, as `Comparison.spec` does."""
        return {
            "column": self.column,
            "op": self.op,
            "value": {"times": self.times, "of": self.of},
        }

    def text(self) -> str:
        """Return the comparison in readable form: `amount > 3 * customer_mean_30d`."""
        return Comparison(self.column, self.op, 0).text()[:-1] + f"{self.times:g} * {self.of}"


Condition = Comparison | Scaled


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions that must all hold, what they lead to, and the reason in words."""

    name: str
    words: str
    when: tuple[Condition, ...]
    action: Action
    mode: Mode = "active"

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields that the conditions read, each once."""
        read: list[str] = []
        for one in self.when:
            read += [one.column, one.of] if isinstance(one, Scaled) else [one.column]
        return tuple(dict.fromkeys(read))


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules in their order, and the version of them all."""

    rules: tuple[Rule, ...] = ()
    version: str = field(init=False, compare=False)
    """`rules-<digest>`, which changes with any part of any rule; empty without rules."""

    _tests: tuple[tuple[Rule, Test], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out what is not to be worked out for each payment."""
        object.__setattr__(self, "version", _version(self.rules))
        object.__setattr__(self, "_tests", tuple((one, _all(one.when)) for one in self.rules))

    def hits(self, record: Record) -> list[Rule]:
        """Return the rules, active and shadow, that hit a feature record, in their order.

        A field that the record lacks is not known.
        """
        return [rule for rule, holds in self._tests if holds(record)]


def ruled(decision: Decision, hits: Sequence[Rule]) -> Decision:
    """Return the strongest of the model's decision and the actions of the active rules that hit."""
    for rule in hits:
        if rule.mode == "active" and STRENGTH[rule.action] > STRENGTH[decision]:
            decision = rule.action
    return decision


def _all(conditions: Sequence[Condition]) -> Test:
    """Return the test that all conditions hold."""
    tests = tuple(map(_test, conditions))
    if len(tests) == 1:
        return tests[0]

    def holds(record: Record) -> bool:
        for one in tests:  # noqa: SIM110 - twice as fast as `all` of a generator
            if not one(record):
                return False
        return True

    return holds


def _test(condition: Condition) -> Test:
    column = condition.column
    if isinstance(condition, Scaled):
        holds, of, times = SIGNS[condition.op], condition.of, condition.times

        def scaled(record: Record) -> bool:
            value, other = record.get(column), record.get(of)
            return value is not None and other is not None and holds(value, times * other)

        return scaled
    if condition.op in ("null", "notnull"):
        wanted = condition.op == "notnull"
        return lambda record: _known(record.get(column)) is wanted
    if condition.op == "in":
        assert isinstance(condition.value, tuple)  # noqa: S101 - Comparison requires it
        members = frozenset(condition.value)
        return lambda record: record.get(column) in members
    compared, constant = SIGNS[condition.op], condition.value

    def constantly(record: Record) -> bool:
        value = record.get(column)
        return value is not None and compared(value, constant)

    return constantly


def _known(value: Any) -> bool:
    return value is not None and bool(value == value)  # noqa: PLR0124 - false of NaN


def _version(rules: Sequence[Rule]) -> str:
    if not rules:
        return ""
    text = json.dumps([asdict(one) for one in rules], sort_keys=True, separators=(",", ":"))
    return f"rules-{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"

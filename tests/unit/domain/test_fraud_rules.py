"""Rules beside the model: what they require of their declaration, and when they hit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.declared import DeclaredError
from domain.events import Decision
from domain.features.declaration import DAY, MINUTE, Type, Window
from domain.features.words import rounding
from domain.fraud.declared_rules import fields_of, parse
from domain.fraud.features import FRAUD
from domain.fraud.rules import Rule, ruled

KNOWN: Mapping[str, Type] = {
    "amount": "DOUBLE",
    "count": "BIGINT",
    "mean": "DOUBLE",
    "customer_id": "STRING",
    "late": "BOOLEAN",
}


def rule(*when: Any, name: str = "one", **changes: Any) -> dict[str, Any]:
    return {"name": name, "words": "Why", "when": list(when), "action": "review", **changes}


def hit(record: Mapping[str, Any], *when: Any) -> bool:
    return bool(parse({"rules": [rule(*when)]}, KNOWN).hits(record))


def test_more_than_five_payments() -> None:
    more = {"field": "count", "gt": 5}
    assert hit({"count": 6}, more)
    assert not hit({"count": 5}, more)
    assert not hit({"count": None}, more)
    assert not hit({}, more)


def test_over_three_times_the_usual() -> None:
    over = {"field": "amount", "gt": {"times": 3, "of": "mean"}}
    assert hit({"amount": 30.01, "mean": 10.0}, over)
    assert not hit({"amount": 30.0, "mean": 10.0}, over)
    assert not hit({"amount": 30.01, "mean": None}, over)
    assert not hit({"amount": 30.01, "mean": math.nan}, over)


def test_texts_marks_and_what_is_known() -> None:
    assert hit({"customer_id": "c1"}, {"field": "customer_id", "in": ["c1", "c2"]})
    assert not hit({"customer_id": "c3"}, {"field": "customer_id", "in": ["c1", "c2"]})
    assert hit({"late": True}, {"field": "late", "eq": True})
    assert not hit({"amount": math.nan}, {"field": "amount", "ne": 4})
    assert hit({"amount": math.nan}, {"field": "amount", "known": False})
    assert not hit({"amount": None}, {"field": "amount", "known": True})


NUMBERS = ("amount", "count", "mean")
CONSTANTS = st.integers(-3, 3) | st.sampled_from([-0.5, 0.5, 2.5])
VALUES = st.none() | st.just(math.nan) | CONSTANTS.map(float)
OPS = st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"])


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    column = draw(st.sampled_from(NUMBERS))
    kind = draw(st.sampled_from(["constant", "scaled", "in", "known"]))
    if kind == "constant":
        return {"field": column, draw(OPS): draw(CONSTANTS)}
    if kind == "scaled":
        of, times = draw(st.sampled_from(NUMBERS)), draw(CONSTANTS)
        return {"field": column, draw(OPS): {"of": of, "times": times}}
    if kind == "in":
        return {"field": column, "in": draw(st.lists(CONSTANTS, min_size=1, max_size=4))}
    return {"field": column, "known": draw(st.booleans())}


def literally(condition: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """The text of the declaration, word by word."""

    def number(name: str) -> float | None:
        found = record.get(name)
        return None if found is None or math.isnan(found) else found

    left = number(condition["field"])
    ((op, right),) = ((key, one) for key, one in condition.items() if key != "field")
    if op == "known":
        return bool((left is not None) == right)
    if left is None:
        return False
    if op == "in":
        return any(left == one for one in right)
    if isinstance(right, dict):
        other = number(right["of"])
        if other is None:
            return False
        right = right["times"] * other
    difference = left - right
    outcomes: dict[str, bool] = {
        "eq": difference == 0,
        "ne": difference != 0,
        "lt": difference < 0,
        "le": difference <= 0,
        "gt": difference > 0,
        "ge": difference >= 0,
    }
    return outcomes[op]


@given(
    st.lists(st.lists(conditions(), min_size=1, max_size=3), min_size=1, max_size=4),
    st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(NUMBERS, VALUES)), max_size=8),
)
def test_rules_hit_as_their_words_say(
    declared: list[list[dict[str, Any]]], records: list[dict[str, Any]]
) -> None:
    rules = parse(
        {"rules": [rule(*when, name=f"r{at}") for at, when in enumerate(declared)]}, KNOWN
    )
    for record in records:
        expected = [
            f"r{at}"
            for at, when in enumerate(declared)
            if all(literally(one, record) for one in when)
        ]
        assert [one.name for one in rules.hits(record)] == expected


@pytest.mark.parametrize(
    ("model", "hits", "stands"),
    [
        ("approve", [("review", "active")], "review"),
        ("approve", [("review", "active"), ("block", "active")], "block"),
        ("block", [("review", "active")], "block"),
        ("approve", [("block", "shadow")], "approve"),
        ("review", [], "review"),
    ],
)
def test_the_strongest_stands_and_shadow_rules_decide_nothing(
    model: Decision, hits: list[tuple[Any, Any]], stands: Decision
) -> None:
    assert ruled(model, [Rule("r", "Why", (), *one) for one in hits]) == stands


GOOD = {"field": "amount", "gt": 5}


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ([rule({"field": "amonut", "gt": 5})], r"\(one\)\.when\[0\]\.field: 'amonut' is no decl"),
        ([rule({"field": ["amount"], "gt": 5})], "is no declared feature"),
        ([rule({"field": "amount", "over": 5})], "unknown comparison 'over', know eq, ne"),
        ([rule({"field": "amount"})], "one comparison of"),
        ([rule({"field": "amount", "gt": 5, "lt": 9})], "one comparison of"),
        ([rule({"field": "amount", "gt": "5"})], "gt takes a number"),
        ([rule({"field": "amount", "gt": None})], "gt takes one value"),
        ([rule({"field": "amount", "gt": math.inf})], "is no number"),
        ([rule({"field": "amount", "in": []})], "non-empty"),
        ([rule({"field": "customer_id", "gt": 5})], "gt is for numbers, not STRING"),
        ([rule({"field": "customer_id", "eq": {"of": "amount"}})], "customer_id is STRING"),
        ([rule({"field": "amount", "in": {"of": "mean"}})], "no comparison with a field"),
        ([rule({"field": "amount", "gt": {"of": "mean", "by": 3}})], "unknown: by"),
        ([rule({"field": "amount", "gt": {"of": "mean", "times": "3"}})], "times: '3' is no"),
        ([rule({"field": "amount", "known": 1})], "true or false"),
        ([rule(GOOD), rule(GOOD)], "names used twice: one"),
        ([rule(GOOD, name="One")], "lower-case letters"),
        ([rule(GOOD, action="approve")], "'approve' is none of review, block"),
        ([rule(GOOD, mode="off")], "'off' is none of active, shadow"),
        ([rule(GOOD, weight=1)], "unknown: weight"),
        ([rule(GOOD, words=" ")], "a text of 1 to 200 characters"),
        ([rule()], "no condition"),
        ([{"name": "one"}], r"\(one\): words, when, action missing"),
        (["one"], r"rules\[0\]: not a mapping"),
        (None, "rules: not a list"),
    ],
)
def test_a_mistake_is_told_with_its_place(rules: Any, why: str) -> None:
    with pytest.raises(DeclaredError, match=why):
        parse({"rules": rules}, KNOWN)


def test_the_version_changes_with_any_part() -> None:
    versions = [
        parse({"rules": rules}, KNOWN).version
        for rules in (
            [rule(GOOD)],
            [rule(GOOD, mode="shadow")],
            [rule(GOOD, words="Because")],
            [rule({"field": "amount", "gt": 6})],
            [rule(GOOD, name="a"), rule(GOOD, name="b")],
            [rule(GOOD, name="b"), rule(GOOD, name="a")],
        )
    ]
    assert len(set(versions)) == len(versions)
    assert versions[0] == parse({"rules": [rule(GOOD, mode="active")]}, KNOWN).version
    assert parse({"rules": []}, KNOWN).version == ""


def test_rules_read_what_is_on_the_wire() -> None:
    fields = fields_of(FRAUD)
    told = {*FRAUD.features, "customer_id", "terminal_id", "late"}
    assert told <= fields.keys() <= {*FRAUD.columns}
    assert not {"sequence", "produced_at", "transaction_id"} & fields.keys()


def test_how_a_window_is_rounded() -> None:
    assert rounding(Window("10m", MINUTE, 10)) == "the last 9 to 10 minutes"
    assert rounding(Window("7d", DAY // 4, 28)) == "the last 162 to 168 hours"

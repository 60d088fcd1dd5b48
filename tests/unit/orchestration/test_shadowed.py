"""The comparison of a challenger with the champion, beside cases by hand and literal sums."""

from __future__ import annotations

import random
from typing import Any

import pytest

from domain.times import iso
from orchestration.fraud.shadowed import Asked, compare

ALL = Asked()


def said(name: str, ours: float, theirs: float, at: int = 0, **other: Any) -> dict[str, Any]:
    def decision(score: float) -> str:
        return "block" if score >= 0.8 else "review" if score >= 0.3 else "approve"

    return {
        "transaction_id": name,
        "event_time": at,
        "champion": "m1",
        "champion_score": ours,
        "champion_decision": decision(ours),
        "challenger": "m2",
        "challenger_score": theirs,
        "challenger_decision": decision(theirs),
        **other,
    }


def test_a_case_by_hand() -> None:
    records = [
        said("a", 0.9, 0.9, 5000),
        said("b", 0.1, 0.5, 1000),
        said("c", 0.9, 0.1, 2000),
        said("d", 0.1, 0.1, 3000),
        said("e", 0.4, 0.9, 4000),
    ]
    (found,) = compare(records, {"a": True, "b": True, "c": False, "d": False}, ALL)
    assert (found["champion"], found["challenger"], found["payments"]) == ("m1", "m2", 5)
    assert (found["first"], found["last"]) == (iso(1000), iso(5000))
    assert (found["differing"], found["share_differing"]) == (3, 0.6)
    assert found["mean_absolute_difference"] == pytest.approx((0.4 + 0.8 + 0.5) / 5)
    assert found["greatest_difference"] == pytest.approx(0.8)
    assert (found["judged"], found["frauds"]) == (4, 2)
    assert found["decisions"] == [
        {"champion": ours, "challenger": theirs, "payments": 1, "judged": judged, "frauds": frauds}
        for ours, theirs, judged, frauds in (
            ("approve", "approve", 1, 0),
            ("approve", "review", 1, 1),
            ("block", "approve", 1, 0),
            ("block", "block", 1, 1),
            ("review", "block", 0, 0),
        )
    ]
    champion, challenger = found["quality"]["champion"], found["quality"]["challenger"]
    assert champion["flagged"] == {"payments": 2, "precision": 0.5, "recall": 0.5}
    assert champion["blocked"] == {"payments": 2, "precision": 0.5, "recall": 0.5}
    assert challenger["flagged"] == {"payments": 2, "precision": 1.0, "recall": 1.0}
    assert challenger["blocked"] == {"payments": 1, "precision": 1.0, "recall": 0.5}
    # a and c are equal and first: half of two; then b and d, equal again: half of four.
    assert champion["average_precision"] == pytest.approx(0.5 * 0.5 + 0.5 * 0.5)
    assert challenger["average_precision"] == 1.0


def test_without_verdicts_there_is_nothing_to_divide_by() -> None:
    (found,) = compare([said("a", 0.1, 0.1)], {}, ALL)
    nothing = {"payments": 0, "precision": None, "recall": None}
    assert found["quality"]["champion"] == {
        "flagged": nothing,
        "blocked": nothing,
        "average_precision": None,
    }
    assert compare([], {}, ALL) == []


def test_what_a_restart_repeats_counts_once() -> None:
    rng = random.Random(7)
    records = [said(f"t{at}", rng.random(), rng.random(), at) for at in range(200)]
    verdicts = {f"t{at}": at % 9 == 0 for at in range(0, 200, 2)}
    once = compare(records, verdicts, ALL)
    # Read again from some place on, by another champion meanwhile.
    again = [{**one, "champion": "m3", "champion_score": 0.5} for one in records[50:]]
    assert compare([*records, *again], verdicts, ALL) == once
    # Another challenger is another matter.
    other = [{**one, "challenger": "m4"} for one in records]
    assert [one["challenger"] for one in compare([*records, *other], verdicts, ALL)] == ["m2", "m4"]


def test_a_span_of_time() -> None:
    records = [said(f"t{at}", 0.1, 0.1, at) for at in range(10)]
    (found,) = compare(records, {}, Asked(3, 7))
    assert found["payments"] == 4

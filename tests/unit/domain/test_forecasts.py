"""Uplifts that people set: which one counts, and what is none."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from domain.inventory.forecasts import Uplift, Uplifts, uplift_of

XMAS = date(2026, 12, 1), date(2026, 12, 24)


def test_an_items_own_counts_before_its_categorys_and_the_last_one_first() -> None:
    known = Uplifts(
        (
            Uplift("item", "a", 3.0),
            Uplift("category", "toys", 1.5),
            Uplift("item", "b", 2.0, *XMAS),
            Uplift("category", "toys", 1.2, *XMAS),
        )
    )

    assert known.factor("a", "toys", date(2026, 12, 5)) == 3.0
    assert known.factor("b", "toys", date(2026, 12, 24)) == 2.0
    assert known.factor("b", "toys", date(2026, 12, 25)) == 1.5
    assert known.factor("c", "toys", date(2026, 12, 1)) == 1.2
    assert known.factor("c", "toys", date(2026, 11, 30)) == 1.5
    assert known.factor("c", None, date(2026, 12, 1)) == 1.0


def test_set_replaces_the_same_days_alone() -> None:
    known = Uplifts().set(Uplift("item", "a", 2.0, *XMAS)).set(Uplift("item", "a", 3.0))

    assert [one.factor for one in known.set(Uplift("item", "a", 4.0, *XMAS)).given] == [3.0, 4.0]
    assert known.without("item", "a").given == ()
    assert known.without("category", "a") == known


def test_a_document_is_read_as_it_was_written() -> None:
    for one in (Uplift("category", "toys", 0.0), Uplift("item", "a", 2.5, *XMAS, "campaign")):
        assert uplift_of(one.document()) == one


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"factor": 1}, "of one item or of one category"),
        ({"item": "a", "category": "b", "factor": 1}, "of one item or of one category"),
        ({"item": "a"}, "needs a factor"),
        ({"item": "a", "factor": "much"}, "needs a factor"),
        ({"item": "a", "factor": -1}, "from 0 to 100"),
        ({"item": "a", "factor": float("nan")}, "from 0 to 100"),
        ({"item": "", "factor": 1}, "needs the name"),
        ({"item": "a", "factor": 1, "from": "soon"}, "are dates"),
        ({"item": "a", "factor": 1, "from": XMAS[1], "until": XMAS[0]}, "ends before it begins"),
        ({"item": "a", "factor": 1, "units": 3}, "unknown: units"),
    ],
)
def test_what_is_no_uplift_is_told(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        uplift_of(document)

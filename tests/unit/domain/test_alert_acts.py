"""Acknowledgements and silences: that later in the log counts, however often they are read."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from domain.alerts.acts import Acts, acknowledgement, silence, subjects

ALERT = {"alert_id": "boiler-7/1", "entity": "boiler-7", "kind": "HIGH_TEMP"}


def known(*acts: dict[str, Any]) -> Acts:
    found = Acts()
    for place, act in enumerate(acts):
        found.take(act, place)
    return found


def test_the_act_later_in_the_log_counts_in_every_order_and_whatever_the_clocks_said() -> None:
    acts = [
        silence("boiler-7", "", now=20, until=500),
        silence("boiler-7", "", now=10, until=20),
        acknowledgement("boiler-7/1", now=12, by="ada"),
        acknowledgement("boiler-7/1", now=11, by="bob"),
    ]
    for order in itertools.permutations(enumerate(acts)):
        found = Acts()
        for place, act in (*order, *order[:2]):
            found.take(act, place)
        assert found.silenced_until(ALERT, 15) == 20, "lifted"
        assert found.silenced_until(ALERT, 20) is None
        seen = found.acknowledged(ALERT)
        assert seen is not None
        assert seen["by"] == "bob"


@pytest.mark.parametrize(
    ("entity", "kind", "holds"),
    [
        ("boiler-7", "", True),
        ("", "HIGH_TEMP", True),
        ("boiler-7", "HIGH_TEMP", True),
        ("boiler-7", "SILENT", False),
        ("boiler", "", False),
        ("", "high_temp", False),
    ],
)
def test_a_silence_holds_for_what_it_names_until_it_ends(
    entity: str, kind: str, holds: bool
) -> None:
    found = known(silence(entity, kind, now=0, until=100))
    assert found.silenced_until(ALERT, 99) == (100 if holds else None)
    assert found.silenced_until(ALERT, 100) is None
    assert found.acknowledged(ALERT) is None


def test_the_longest_of_several_silences_is_told_and_all_are_not_silenced_by_a_slip() -> None:
    found = known(
        silence("boiler-7", "", now=0, until=100), silence("", "HIGH_TEMP", now=0, until=300)
    )
    assert found.silenced_until(ALERT, 50) == 300
    with pytest.raises(ValueError, match="names an entity"):
        silence("", "", now=0, until=1)


def test_names_with_a_slash_are_no_others() -> None:
    a = subjects({"alert_id": "a", "entity": "x/y", "kind": "z"})
    b = subjects({"alert_id": "a", "entity": "x", "kind": "y/z"})
    assert a[1] != b[1]
    assert a[1] == "silence/x%2Fy/z"

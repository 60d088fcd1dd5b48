"""Acknowledgements and silences: the later act counts, in whatever order they are read."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from domain.alerts.acts import Acts, acknowledgement, silence, subjects

ALERT = {"alert_id": "boiler-7/1", "entity": "boiler-7", "kind": "HIGH_TEMP"}


def known(*acts: dict[str, Any]) -> Acts:
    found = Acts()
    for act in acts:
        found.take(act)
    return found


def test_the_later_act_on_a_subject_counts_in_every_order_and_however_often_read() -> None:
    acts = [
        silence("boiler-7", "", now=10, until=500),
        silence("boiler-7", "", now=20, until=20),
        acknowledgement("boiler-7/1", now=11, by="ada"),
        acknowledgement("boiler-7/1", now=12, by="bob"),
    ]
    for order in itertools.permutations(acts):
        found = known(*order, *order[:2])
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

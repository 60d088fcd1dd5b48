from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.times import iso, milliseconds


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_both_ways_exact(moment: int) -> None:
    assert milliseconds(iso(moment)) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01.5Z", 1500),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:00", 0),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_reads_any_zone(text: str, expected: int) -> None:
    assert milliseconds(text) == expected

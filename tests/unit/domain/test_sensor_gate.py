"""The gate: every reason, each by cases worked out by hand; and what leaves no trace."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.sensors.gate import REMEMBERED, USUAL, Memory, check
from tests.unit.domain.sensors import START, limits, reading

RANGES = {"value": [-100, 100], "temperature": [-20, 80]}
UNITS = [{"name": "fahrenheit", "field": "temperature", "factor": 1.8, "offset": 32}]
STUCK = [{"field": "value", "readings": 3, "seconds": 20}]
KIND = limits(ranges=RANGES, units=UNITS, stuck=STUCK).of("default")


def codes(memory: Memory, second: float, *, age: float = 1, **said: Any) -> list[str]:
    one = reading(second, **said)
    return [reason.code for reason in check(one, one.timestamp + round(age * 1000), KIND, memory)]


@pytest.mark.parametrize(
    ("said", "age", "reasons"),
    [
        ({}, 1, []),
        ({"value": None}, 1, ["missing:value"]),
        ({"value": 100.0, "temperature": -20.0}, 1, []),
        ({"value": 9999.0}, 1, ["range:value"]),
        ({"temperature": 80.01}, 1, ["range:temperature"]),
        ({}, 300, []),
        ({}, 300.001, ["stale"]),
        ({}, 3 * 86_400, ["stale", "time"]),
        ({}, -86_400, []),
        ({}, -86_400.001, ["time"]),
        (
            {"value": 9999.0, "temperature": -21.0},
            3 * 86_400,
            ["range:value", "range:temperature", "stale", "time"],
        ),
    ],
)
def test_every_reason_is_told(said: dict[str, Any], age: float, reasons: list[str]) -> None:
    assert codes(Memory(), 0, age=age, **said) == reasons


def test_a_timestamp_again_is_a_duplicate_whatever_it_says() -> None:
    memory = Memory()
    assert codes(memory, 10) == []
    assert codes(memory, 5) == []
    assert codes(memory, 10, value=21.0) == ["duplicate"]
    assert codes(memory, 5, value=9999.0) == ["range:value", "duplicate"]
    assert codes(memory, 10.001) == []


def test_what_is_older_than_all_that_is_remembered_is_late() -> None:
    memory = Memory()
    for second in range(REMEMBERED - 1):
        assert codes(memory, 100 + second, value=second % 7) == []
    assert codes(memory, 99, value=0.5) == [], "there is room for one more"
    assert codes(memory, 98, value=0.6) == ["late"]
    assert codes(memory, 99, value=0.5) == ["duplicate"]
    assert codes(memory, 1000, value=0.7) == []
    assert codes(memory, 99, value=0.5) == ["late"], "nobody knows any more"


def test_a_rejected_reading_is_no_duplicates_original() -> None:
    memory = Memory()
    assert codes(memory, 10, value=None) == ["missing:value"]
    assert codes(memory, 10) == []


def test_a_value_that_stays_for_long_is_stuck_until_it_moves() -> None:
    memory = Memory()
    told = [codes(memory, second) for second in (0, 10, 19, 20, 30)]
    assert told == [[], [], [], ["stuck:value"], ["stuck:value"]]
    assert codes(memory, 40, value=20.1) == []
    assert codes(memory, 41) == []
    assert codes(memory, 70) == [], "the second of its kind only"
    assert codes(memory, 80) == ["stuck:value"]


def test_a_value_in_another_unit_is_told_by_the_last_good_one() -> None:
    memory = Memory()
    assert codes(memory, 0, temperature=21.0, value=1.0) == []
    assert codes(memory, 1, temperature=70.5, value=2.0) == ["unit:temperature"]
    assert codes(memory, 2, temperature=21.2, value=3.0) == []
    assert codes(memory, 3, temperature=60.0, value=4.0) == [], "neither nor: a detector's affair"
    # Where both units say nearly the same, nothing has changed.
    cold = Memory()
    assert codes(cold, 0, temperature=-19.0, value=1.0) == []
    assert codes(cold, 1, temperature=-19.9, value=2.0) == []


def test_one_odd_value_does_not_say_what_was_before() -> None:
    memory = Memory()
    for second, temperature in enumerate((21.0, 21.1, -5.0)):
        assert codes(memory, second, temperature=temperature, value=float(second)) == []
    assert codes(memory, 4, temperature=23.0, value=9.0) == [], "what -5 would be in Fahrenheit"
    assert codes(memory, 5, temperature=70.0, value=10.0) == ["unit:temperature"]
    for second in range(6, 30):
        codes(memory, second, temperature=21.0, value=float(second))
    assert len(memory.good["temperature"][1]) == USUAL


def test_a_unit_that_was_changed_for_good_is_taken_up_after_a_while() -> None:
    memory = Memory()
    assert codes(memory, 0, temperature=21.0, value=1.0) == []
    assert codes(memory, 600, temperature=69.8, value=2.0) == ["unit:temperature"]
    assert codes(memory, 600.001, temperature=69.8, value=3.0) == []
    assert codes(memory, 601, temperature=69.9, value=4.0) == []


@given(st.lists(st.tuples(st.integers(0, 290), st.integers(0, 5), st.booleans()), max_size=400))
def test_memory_is_bounded_and_rejected_readings_leave_no_trace(
    rows: list[tuple[int, int, bool]],
) -> None:
    kind = limits(ranges=RANGES, units=UNITS).of("default")
    memory = Memory()
    for second, value, wrong in rows:
        one = reading(second, value=9999.0 if wrong else float(value))
        before = deepcopy(memory)
        if check(one, START + 400_000, kind, memory):
            assert memory == before
        assert len(memory.times) <= REMEMBERED
        assert memory.times == sorted(set(memory.times))

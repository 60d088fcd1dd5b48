"""What is unusual, against plain counting over all that came."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.sensors.kinds import Jump
from domain.sensors.limits import Limits, SensorType
from domain.sensors.rules import CANDIDATES, Finding, Notes, findings, score
from tests.unit.domain.sensors import START, limits, reading


def kinds(
    kind: SensorType, notes: Notes, second: float, *, late: bool = False, **said: Any
) -> list[str]:
    return [one.kind for one in findings(reading(second, **said), kind, notes, late=late)]


def of(**default: Any) -> SensorType:
    found: Limits = limits(**default)
    return found.of("default")


def test_thresholds_are_beyond_a_bound_and_of_a_status() -> None:
    kind = of(
        thresholds=[
            {"kind": "HOT", "field": "temperature", "above": 30},
            {"kind": "COLD", "field": "temperature", "below": 10, "weight": 0.7},
            {"kind": "FAILS", "field": "status", "equals": "FAIL", "weight": 0.8},
        ]
    )
    assert kinds(kind, {}, 0) == []
    assert kinds(kind, {}, 0, temperature=30.0) == []
    assert kinds(kind, {}, 0, temperature=30.1) == ["HOT"]
    assert kinds(kind, {}, 0, temperature=9.9, status="FAIL") == ["FAILS", "COLD"]
    assert kinds(kind, {}, 0, temperature=9.9, late=True) == ["COLD"]


JUMPS = of(jumps=[{"kind": "JUMP", "field": "value", "by": 5, "seconds": 60}])


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(-12, 12)), min_size=1, max_size=CANDIDATES)
)
def test_a_jump_is_from_the_lowest_or_highest_of_the_last_minute(
    rows: list[tuple[int, int]],
) -> None:
    notes: Notes = {}
    now = 0
    before: list[tuple[int, int]] = []
    for gap, value in rows:
        now += gap
        near = [old for when, old in before if when >= now - 60]
        jumped = any(abs(value - old) > 5 for old in near)
        assert kinds(JUMPS, notes, now, value=float(value)) == (["JUMP"] if jumped else [])
        before = [*([] if jumped else before), (now, value)]


def test_a_jumps_memory_is_bounded_and_never_tells_wrongly() -> None:
    notes: Notes = {}
    told = [kinds(JUMPS, notes, step / 10, value=step * 0.005) for step in range(2_000)]
    assert told == [[]] * 2_000, "three a minute"
    assert sum(map(len, notes.values())) <= 1 + 4 * CANDIDATES
    (rule,) = JUMPS.rules
    assert isinstance(rule, Jump)


def test_the_dynamic_bound_is_that_of_the_readings_before() -> None:
    kind = of(dynamic=[{"kind": "ABOVE", "sigmas": 2, "readings": 1_000, "least": 30}])
    notes: Notes = {}
    values = [math.sin(step * 1.7) + step % 7 * 0.1 for step in range(200)]
    values[90] = values[150] = 4.0
    for step, value in enumerate(values):
        past = values[:step]
        above = len(past) >= 30 and value > statistics.fmean(past) + 2 * statistics.pstdev(past)
        assert kinds(kind, notes, step, value=value) == (["ABOVE"] if above else []), step
    assert notes["Dynamic ABOVE value"] == [
        200,
        pytest.approx(statistics.fmean(values)),
        pytest.approx(statistics.pvariance(values)),
    ]


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([1.0, 1.5, 2.0, 40.0])), max_size=60))
def test_a_window_is_the_half_minute_before_a_readings_own_and_its_own_so_far(
    rows: list[tuple[int, float]],
) -> None:
    kind = of(windows=[{"kind": "Z", "sigmas": 3, "seconds": 60, "least": 4, "floor": 0.1}])
    notes: Notes = {}
    now = 0
    came: list[tuple[int, float]] = []
    for gap, value in rows:
        now += gap
        half = (START // 1000 + now) // 30
        held = [old for when, old in came if (START // 1000 + when) // 30 >= half - 1]
        off = False
        if len(held) >= 4 and (spread := statistics.pstdev(held)) >= 0.1:
            beyond = abs(value - statistics.fmean(held)) - 3 * spread
            # A value right at the limit falls to either side by how sums are rounded.
            assume(abs(beyond) > 1e-9)
            off = beyond > 0
        assert kinds(kind, notes, now, value=value) == (["Z"] if off else [])
        came.append((now, value))
    assert sum(map(len, notes.values())) <= 7


def test_a_spike_in_a_quiet_minute_is_found_and_does_not_hide_the_next() -> None:
    kind = of(windows=[{"kind": "Z"}])
    notes: Notes = {}
    calm = [kinds(kind, notes, second, value=20 + second % 2) for second in range(20)]
    assert calm == [[]] * 20
    assert kinds(kind, notes, 20, value=26.0) == ["Z"]
    assert kinds(kind, notes, 21, value=30.0) == ["Z"]
    assert kinds(kind, notes, 140, value=90.0) == [], "nothing came in the minute before"


def test_what_rises_for_long_is_told_and_a_small_dip_is_forgiven() -> None:
    kind = of(rising=[{"kind": "RISING", "field": "value", "seconds": 900, "by": 2, "dip": 0.3}])
    notes: Notes = {}
    values = [10 + step * 0.2 - (0.25 if step % 5 == 4 else 0) for step in range(20)]
    told = [kinds(kind, notes, step * 60, value=value) for step, value in enumerate(values)]
    assert told == [[]] * 15 + [["RISING"]] * 5
    assert kinds(kind, notes, 1_260, value=12.0) == [], "it fell"
    assert kinds(kind, notes, 2_200, value=14.1) == [], "too few readings since"


def test_three_in_a_row_are_repeated_and_a_quiet_one_begins_anew() -> None:
    kind = of(thresholds=[{"kind": "HIGH", "above": 30}], repeated=[{"kind": "AGAIN", "times": 3}])
    notes: Notes = {}
    values = [31.0, 31.0, 20.0, 31.0, 31.0, 31.0, 31.0, 20.0]
    told = [kinds(kind, notes, step, value=value) for step, value in enumerate(values)]
    assert [one[-1:] for one in told] == [
        ["HIGH"], ["HIGH"], [], ["HIGH"], ["HIGH"], ["AGAIN"], ["AGAIN"], [],
    ]  # fmt: skip
    assert notes == {"Repeated AGAIN": [0.0]}


def test_notes_of_a_rule_that_is_gone_are_forgotten() -> None:
    notes: Notes = {"OLD": [1.0, 2.0]}
    assert kinds(JUMPS, notes, 0) == []
    assert set(notes) == {"Jump JUMP value"}


@pytest.mark.parametrize("before", ["jumps", "dynamic", "rising", "repeated"])
@pytest.mark.parametrize("after", ["jumps", "dynamic", "rising", "repeated"])
def test_a_kind_declared_as_another_rule_or_of_another_field_begins_anew(
    before: str, after: str
) -> None:
    notes: Notes = {}
    old, new = (of(**{section: [{"kind": "A"}]}) for section in (before, after))
    for step in range(40):
        kinds(old, notes, step, value=float(step % 3))
    kinds(new, notes, 41, value=1.0)
    if before != after:
        fresh: Notes = {}
        kinds(new, fresh, 41, value=1.0)
        assert notes == fresh

    pressed = of(jumps=[{"kind": "A", "field": "pressure"}])
    kinds(of(jumps=[{"kind": "A"}]), notes, 42, value=20.0)
    assert kinds(pressed, notes, 43, value=20.0, pressure=1000.0) == []


def test_a_score_combines_findings_as_independent_evidence() -> None:
    assert score([]) == 0.0
    found = [Finding("a", 0.6, ""), Finding("b", 0.5, "")]
    assert score(found) == pytest.approx(0.8)
    assert score(found[:1]) == pytest.approx(0.6)

"""Features of windows beside NumPy and SciPy, and thresholds beside the bound that they promise."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import linregress

from domain.alerts.episodes import Criticality
from domain.anomalies import adaptive
from domain.anomalies.adaptive import FORGOTTEN_MS, LOWEST, STEP, State
from domain.anomalies.features import NAMES, extract
from domain.anomalies.policy import QUANTILES
from domain.anomalies.windows import LATE_MS, MOST, SIZE_MS, Front, Good, cut, span, told
from domain.sensors.limits import CRITICALITIES

SOME = st.lists(st.tuples(st.integers(0, 299_999), st.floats(-1e6, 1e6)), min_size=2, max_size=40)


@given(SOME)
def test_features_are_numpys(readings: list[tuple[int, float]]) -> None:
    found = extract(*zip(*readings, strict=True))
    times, values = (np.array(some, float) for some in zip(*sorted(readings), strict=True))
    scale = max(1.0, float(np.abs(values).max()))
    for name, expected in {
        "count": len(values),
        "mean": values.mean(),
        "std": values.std(),
        "min": values.min(),
        "max": values.max(),
        "step": np.abs(np.diff(values)).max(),
    }.items():
        assert found[name] == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)
    if np.ptp(times) < 1000:
        return  # a slope over less than a second is as large as rounding makes it
    slope = linregress(times / 60_000, values).slope
    assert found["slope"] == pytest.approx(slope, rel=1e-6, abs=1e-6 * scale)


@given(SOME, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    readings: list[tuple[int, float]], chance: random.Random
) -> None:
    mixed = readings[:]
    chance.shuffle(mixed)
    assert extract(*zip(*readings, strict=True)) == extract(*zip(*mixed, strict=True))


def test_a_hand_made_window() -> None:
    found = extract([120_000, 0, 60_000], [4.0, 1.0, 2.0])
    assert found == {
        "count": 3.0,
        "mean": 7 / 3,
        "std": pytest.approx(math.sqrt(14 / 9)),
        "min": 1.0,
        "max": 4.0,
        "slope": 1.5,
        "step": 2.0,
    }
    assert tuple(found) == NAMES


def test_what_one_reading_does_not_tell_is_absent() -> None:
    assert extract([5], [2.0]) == {"count": 1.0, "mean": 2.0, "std": 0.0, "min": 2.0, "max": 2.0}
    assert "slope" not in extract([5, 5], [2.0, 3.0])
    with pytest.raises(ValueError, match="a reading at least"):
        extract([], [])


def test_values_out_of_this_world_give_numbers_of_32_bits() -> None:
    found = extract([0, 1], [1e308, -1e308])
    assert all(abs(value) < 3.4e38 for value in found.values())


def windows_of(readings: list[Good]) -> list[tuple[int, int]]:
    """Return start and size of each window, as the job tells them, a reading after the other."""
    kept: list[Good] = []
    front, found = Front(), []
    for reading in readings:
        if front.takes(reading):
            kept.append(reading)
            front = front.then(reading)
        if front.over(reading.time):
            over, kept, front = cut(kept, reading.time)
            found += [(span(window)[0], len(window)) for window in over]
    return found


def literally(readings: list[Good]) -> list[tuple[int, int]]:
    """The same by a definition: a reading counts unless its window was over before it came."""
    newest, counted, told = -1, dict[int, set[tuple[int, int]]](), list[int]()
    for reading in readings:
        start = reading.time // SIZE_MS * SIZE_MS
        if start + SIZE_MS + LATE_MS > newest:
            counted.setdefault(start, set()).add(reading.place)
        newest = max(newest, reading.time)
        over = [one for one in counted if one + SIZE_MS + LATE_MS <= newest and one not in told]
        told += sorted(over)
    return [(start, len(counted[start])) for start in told]


def test_a_window_is_over_by_a_newer_reading_though_it_had_none_of_its_own_yet() -> None:
    newer = Good(SIZE_MS + LATE_MS, 1.0, (0, 0))
    late = Good(SIZE_MS - 1, 1.0, (0, 1))
    after = Good(2 * SIZE_MS + LATE_MS, 1.0, (0, 2))
    assert windows_of([newer, late, after]) == [(SIZE_MS, 1)]


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(-8, 3), st.integers(0, 60)),
        min_size=1,
        max_size=80,
    )
)
def test_windows_follow_from_the_log_of_their_sensor(steps: list[tuple[int, int, int]]) -> None:
    readings: list[Good] = []
    now = 10 * SIZE_MS
    for place, (forward, off, again) in enumerate(steps):
        if readings and again < 8:
            readings.append(readings[-1 - min(again, len(readings) - 1)])
            continue
        now += forward * 10_000
        readings.append(Good(now + off * 30_000, 1.0, (0, place)))
    assert windows_of(readings) == literally(readings)


def test_a_windows_record_names_whose_it_is() -> None:
    made = told(
        "s",
        [
            Good(SIZE_MS + 5, 1.0, (0, 1), None, "machine", "hall"),
            Good(SIZE_MS, 3.0, (0, 0), "boiler", "machine", None),
        ],
    )
    assert (made.window_start, made.window_end) == (SIZE_MS, 2 * SIZE_MS)
    assert (made.asset_id, made.sensor_type, made.location) == ("boiler", "machine", "hall")
    assert made.features["mean"] == 2.0


def test_a_sensor_that_says_too_much_is_cut_short() -> None:
    assert Front(kept=MOST - 1).takes(Good(0, 1.0, (0, 0)))
    assert not Front(kept=MOST).takes(Good(0, 1.0, (0, 0)))


def run(margins: list[float], criticality: Criticality, model: float = 0.0) -> list[bool]:
    """Return which of a sensor's windows are anomalies."""
    state, found = None, []
    for number, margin in enumerate(margins):
        threshold = adaptive.threshold(state, model, "m", criticality, number)
        found.append(margin >= threshold)
        after = adaptive.after(threshold, margin, model, criticality)
        state = State(number, after, "m", criticality)
    return found


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=400), st.sampled_from(CRITICALITIES))
def test_alarms_are_at_most_the_promised_share(
    margins: list[float], criticality: Criticality
) -> None:
    alarms, many = sum(run(margins, criticality)), len(margins)
    above = max(0.0, max(margins))
    quantile = QUANTILES[criticality]
    assert alarms / many <= 1 - quantile + (above + STEP) / (STEP * many) + 1e-9


def test_a_sensor_that_is_strange_by_nature_falls_silent_and_is_heard_when_it_is_stranger() -> None:
    chance = random.Random(3)
    usual = [chance.gauss(8, 0.3) for _ in range(600)]
    found = run([*usual, 20.0], "normal")
    assert all(found[:10])
    assert sum(found[300:600]) <= 9
    assert found[-1]


def test_the_more_critical_the_more_alarms() -> None:
    chance = random.Random(4)
    margins = [chance.gauss(0, 1) for _ in range(5000)]
    low, normal, high = (sum(run(margins, one)[1000:]) for one in CRITICALITIES)
    assert low < normal < high
    assert normal / 4000 == pytest.approx(0.01, abs=0.003)
    assert high / 4000 == pytest.approx(0.03, abs=0.005)


def test_a_calm_sensor_is_not_told_of_for_nothing() -> None:
    assert not any(run([LOWEST - 0.1] * 2000, "high"))


def test_a_threshold_begins_anew_with_a_model_a_criticality_and_after_long_silence() -> None:
    state = State(1000, 7.0, "m", "normal")

    def asked(version: str = "m", criticality: Criticality = "normal", start: int = 2000) -> float:
        return adaptive.threshold(state, 0.5, version, criticality, start)

    assert asked() == asked(start=1000 + FORGOTTEN_MS) == 7.0
    assert asked("n") == asked(criticality="high") == asked(start=1001 + FORGOTTEN_MS) == 0.5


@given(st.floats(-30, 30))
def test_scores_and_margins_are_each_others_inverse(margin: float) -> None:
    assert adaptive.margin(adaptive.score(margin)) == pytest.approx(margin, rel=1e-2, abs=1e-9)


def test_scores_of_nought_and_one_have_margins() -> None:
    assert (adaptive.margin(0.0), adaptive.margin(1.0)) == (-36.0, 36.0)

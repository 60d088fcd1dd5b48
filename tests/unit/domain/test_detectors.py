"""The detectors' specification, by cases worked out by hand."""

from __future__ import annotations

import math
import random

import pytest

from domain.sensors.detectors import alarms, calibration
from domain.sensors.detectors.alarms import Alarms
from domain.sensors.detectors.calibration import Calibration
from domain.sensors.detectors.novelty import LEARNT, NOTHING, Novelty
from domain.sensors.detectors.shape import ShapeNovelty, single
from domain.sensors.detectors.value import ValueNovelty


class TestValue:
    def test_is_the_mean_distance_to_the_two_nearest_values(self) -> None:
        seen = ValueNovelty()
        # Nothing; one value; one again; 10 twice; 10 twice; 20 and 14 are both 3 away.
        assert [seen.of(x) for x in (10, 10, 20, 14, 17)] == [0, 0, 10, 4, 3]
        assert seen.of(100) == (80 + 83) / 2
        assert seen.of(-1) == 11

    def test_the_second_of_two_equal_outliers_is_still_new_and_the_third_is_not(self) -> None:
        seen = ValueNovelty()
        for x in (0.0, 1.0):
            seen.of(x)
        assert [seen.of(50.0) for _ in range(3)] == [49.5, 24.5, 0.0]

    def test_merges_the_closest_two_when_it_is_full(self) -> None:
        seen = ValueNovelty(limit=3)
        for x in (0.0, 10.0, 10.0, 20.0, 13.0):
            seen.of(x)
        assert (seen.values, seen.counts) == ([0.0, 11.0, 20.0], [1, 3, 1])


class TestShape:
    def test_compares_the_newest_stretch_with_those_that_do_not_overlap_it(self) -> None:
        shapes = ShapeNovelty(memory=6, length=2)
        found = [shapes.of(x) for x in (0, 1, 0, 1, 0, 9)]
        # (0, 9) is (64, 82, 64) away from (0, 1), (1, 0) and (0, 1), squared.
        assert found == [None, None, None, None, 1.0 / 2, math.sqrt(64 / 2)]

    def test_forgets_what_is_older_than_its_memory(self) -> None:
        shapes = ShapeNovelty(memory=6, length=2)
        for x in (5, 6, 7, 0, 1, 0, 1, 0):
            shapes.of(x)
        # Left are 7? no: 0 1 0 1 0 5; the stretches (0, 1), (1, 0), (0, 1) end before it.
        assert shapes.of(5) == math.sqrt(16 / 2)
        with pytest.raises(ValueError, match="three stretches"):
            ShapeNovelty(memory=47, length=16)

    def test_rounds_to_single_precision(self) -> None:
        assert single(0.1) == 0.100000001490116119384765625
        assert single(16777217.0) == 16777216.0


class TestCalibration:
    def test_measures_in_units_of_its_own_spread(self) -> None:
        one = Calibration()
        # Twice ten zeros and twos: mean 1, variance 1, so the unit is 1 + .3 + .001 x 100.
        assert [one.of(x, 100.0) for x in (0.0, 2.0) * 10] == [0.0] * 20
        assert one.mean == pytest.approx(1.0)
        assert one.variance == pytest.approx(1.0)
        assert one.of(1.0 + 2.8, 100.0) == pytest.approx(2.0)

    def test_a_huge_value_is_learnt_as_the_greatest_that_counts(self) -> None:
        one, other = Calibration(), Calibration()
        for x in (0.0, 2.0) * 10:
            one.of(x, 0.0)
            other.of(x, 0.0)
        assert one.of(1e15, 0.0) == calibration.MOST
        assert other.of(1.0 + 1.3 * 1000.0, 0.0) == pytest.approx(calibration.MOST)
        assert one.mean == pytest.approx(other.mean)


class TestAlarms:
    def test_the_threshold_is_a_half(self) -> None:
        assert Alarms().score(1.5) == alarms.ALARM
        assert Alarms().score(math.nextafter(1.5, 0.0)) < alarms.ALARM
        assert Alarms().score(-3.0) == 0.0

    def test_an_event_is_told_once(self) -> None:
        one = Alarms()
        assert one.score(4.5) == 0.75
        assert [one.score(900.0) for _ in range(40)] == [0.0] * 40
        assert one.score(900.0) > alarms.ALARM

    def test_each_alarm_makes_the_next_dearer_for_a_while(self) -> None:
        one = Alarms()
        one.score(3.0)
        for _ in range(40):
            one.score(0.0)
        dearer = 1.5 * (1.0 + 0.25 * math.exp(-41 / 2000))
        assert one.score(dearer * 3.0) == pytest.approx(0.75)
        for _ in range(60_000):
            one.score(0.0)
        assert one.score(1.5 * 3.0) == pytest.approx(0.75)


class TestNovelty:
    @pytest.mark.slow
    def test_a_spike_and_a_missing_beat_are_alarms_and_what_recurs_is_none(self) -> None:
        one, rng = Novelty(shapes=ShapeNovelty(memory=200)), random.Random(1)
        wave = [math.sin(t / 4) * 10 + rng.gauss(0.0, 0.1) for t in range(900)]
        wave[500:516] = [wave[500]] * 16
        wave[700] = 30.0
        found = [one.judge(x) for x in wave]
        assert [at for at, judgement in enumerate(found) if judgement.alarm] == [502, 700]
        # What stops moving has no new value: its shape alone tells it.
        assert found[502].shape > 3.0 > 0.1 > found[502].value
        assert found[700].value > 3.0

    def test_the_first_readings_are_only_learnt(self) -> None:
        one = Novelty()
        assert {one.judge(10.0**t) for t in range(LEARNT)} == {NOTHING}

    def test_what_is_no_number_changes_nothing(self) -> None:
        one, other = Novelty(), Novelty()
        rng = random.Random(2)
        for _ in range(150):
            x = rng.gauss(0.0, 1.0)
            assert one.judge(x) == other.judge(x)
            assert one.judge(math.nan) == one.judge(math.inf) == NOTHING
        assert one == other

    @pytest.mark.slow
    def test_after_a_reading_out_of_this_world_it_judges_on(self) -> None:
        one, rng = Novelty(shapes=ShapeNovelty(memory=100)), random.Random(5)
        readings = [rng.gauss(0.0, 1.0) for _ in range(2000)]
        readings[200], readings[1990] = 1e308, 30.0
        found = [one.judge(x) for x in readings]
        assert all(math.isfinite(x) for judgement in found for x in judgement)
        assert found[200].alarm
        assert found[200].value == found[200].shape == calibration.MOST
        assert found[1990].alarm

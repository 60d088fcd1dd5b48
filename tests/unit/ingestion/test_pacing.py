"""Pace by event time and by rate, with a clock of our own."""

from __future__ import annotations

import pytest

from config.errors import UserError
from ingestion.replay.pacing import EventTimePacer, RatePacer, Unpaced, pacer


class Time:
    """A clock that moves when slept on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


def test_events_keep_their_distances_divided_by_the_factor(time: Time) -> None:
    pace = pacer("x10", time.clock, time.sleep)
    for event_time in (50_000, 60_000, 60_000, 55_000, 80_000):
        pace.wait(event_time)

    assert time.slept == pytest.approx([1.0, 2.0])


def test_a_slow_caller_is_not_held_back_further(time: Time) -> None:
    pace = EventTimePacer(1.0, time.clock, time.sleep)
    pace.wait(0)
    time.now += 5
    pace.wait(3000)
    pace.wait(6000)

    assert time.slept == pytest.approx([1.0])


def test_a_rate_is_even_and_catches_up(time: Time) -> None:
    pace = RatePacer(100, time.clock, time.sleep)
    pace.wait(0)
    pace.wait(999_999)
    time.now += 0.025
    pace.wait(0)
    pace.wait(0)
    pace.wait(0)

    assert time.slept == pytest.approx([0.01, 0.005])


def test_max_never_waits() -> None:
    assert isinstance(pacer("max"), Unpaced)
    pacer("max").wait(1)


@pytest.mark.parametrize("speed", ["fast", "x", "x0", "10", "x-1", ""])
def test_a_speed_that_is_none_is_refused(speed: str) -> None:
    with pytest.raises(UserError, match="--speed is max or x and a number"):
        pacer(speed)


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="above 0"):
        RatePacer(0)

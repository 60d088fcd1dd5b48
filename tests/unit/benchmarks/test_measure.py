"""CPU between two counts: what lies between them counts, and nothing is no measurement."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.measure import watch


def steps(*values: float) -> Callable[[], float]:
    """Each call gives the next."""
    left = iter(values)
    return lambda: next(left)


def counts(*values: int) -> Callable[[], int]:
    left = iter(values)
    return lambda: next(left)


def test_what_came_after_the_warm_up_is_measured() -> None:
    rate = watch(
        counts(0, 60, 110), steps(1.0, 2.0, 5.0, 9.0), warm=50, done=100, alive=lambda: True
    )
    assert (rate.events, rate.cpu, rate.whole_events, rate.whole_cpu) == (50, 4.0, 110, 8.0)


def test_all_at_once_after_the_start_is_an_error_not_a_rate() -> None:
    with pytest.raises(RuntimeError, match="from 50 to 100 events between two looks"):
        watch(counts(0, 100), steps(1.0, 2.0, 3.0), warm=50, done=100, alive=lambda: True)


def test_an_end_before_all_events_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="ended after 60 of 100"):
        watch(counts(60), steps(1.0, 2.0), warm=50, done=100, alive=lambda: False)

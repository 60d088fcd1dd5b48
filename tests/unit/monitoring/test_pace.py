"""Durations of rules, scaled."""

from __future__ import annotations

import pytest

from monitoring.pace import Pace, seconds


@pytest.mark.parametrize(
    ("text", "long"), [("30s", 30), ("5m", 300), ("6h", 21_600), ("3d", 259_200)]
)
def test_a_duration_in_seconds(text: str, long: int) -> None:
    assert seconds(text) == long


def test_windows_are_scaled_and_hold_enough_scrapes() -> None:
    assert Pace(5, 1).expression("rate(a[5m]) / rate(b[1h])") == "rate(a[300s]) / rate(b[3600s])"
    assert Pace(1, 0.02).expression("rate(a[5m])") == "rate(a[6s])"
    assert Pace(5, 0.02).expression("rate(a[5m])") == "rate(a[20s])"


def test_a_range_of_labels_is_no_window() -> None:
    assert Pace(1, 0.5).expression('a{b=~"[0-9]m"}') == 'a{b=~"[0-9]m"}'


def test_no_wait_stays_none() -> None:
    assert Pace(5, 0.02).wait("0s") == 0
    assert Pace(5, 0.02).wait("1m") == 5
    assert Pace(1, 0.5).wait("1m") == 30

"""A figure is met when its number is and nothing failed in the run that measured it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from benchmarks.figures import figures

GOOD: dict[str, dict[str, Any]] = {
    "rolling": {
        "events": 2000,
        "turns": {"millrace": [1, 2, 3], "quix": [1, 2]},
        "events_that_agree": {
            "quix 1": 2000,
            "millrace 2": 2000,
            "quix 2": 2000,
            "millrace 3": 2000,
        },
        "events_per_cpu_second": 60_000,
        "times_the_better_peer": 5.0,
    },
    "scaling": {"largest_over_smallest": 0.5},
    "latency": {
        "fraud": {
            "rate": 1000.0,
            "seconds": 240.0,
            "hops": [{"events": 240_000, "p50_ms": 10, "p99_ms": 30}],
        }
    },
    "lookup": {
        "servers": [
            {"server": "api", "p99_ms": 5.0, "failed": 0},
            {"server": "bare", "p99_ms": 4.0, "failed": 0},
        ],
        "p99_ratio": 1.3,
    },
    "page": {"tabs": 20, "tabs_cost_cores": 0.1, "frames_missed": 0},
    "post": {"p99_ms": 60.0, "failed": 0, "pending": 0},
    "producers": {"events_per_second": 150_000},
    "recommend": {"p90_ms": 3.0, "p99_ms": 8.0, "failed": 0},
    "replay": {"events": 9, "distinct_ids": 9, "cpu_us_per_event": 12.0, "peak_mb": 1000},
    "shop_replay": {"seconds": 70.0, "rebuild": {"seconds": 30.0}},
    "swap": {"max_s": 2.0, "payments": 9, "scored": 9, "scored_twice": 0},
    "training": {"rows": 1_200_000, "seconds": 60, "peak_mb": 1500},
}
ROWS = {
    "rolling": 2,
    "scaling": 1,
    "latency": 2,
    "lookup": 2,
    "page": 1,
    "post": 1,
    "producers": 1,
    "recommend": 2,
    "replay": 2,
    "shop_replay": 2,
    "swap": 1,
    "training": 2,
}


def judged(name: str, *path: str | int, value: Any = None) -> list[dict[str, Any]]:
    """The rows of one benchmark whose result differs from a good one in the value at `path`."""
    result = copy.deepcopy(GOOD[name])
    inner: Any = result
    for key in path[:-1]:
        inner = inner[key]
    if path:
        inner[path[-1]] = value
    return figures({name: result})


def test_all_figures_at_their_limits_are_met() -> None:
    rows = figures(GOOD)
    assert len(rows) == sum(ROWS.values())
    assert all(row["met"] and row["failed"] == "" for row in rows)


@pytest.mark.parametrize("name", GOOD)
def test_what_did_not_run_has_no_figures(name: str) -> None:
    assert len(judged(name)) == ROWS[name]


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("rolling", ("events_per_cpu_second",), 59_999),
        ("rolling", ("times_the_better_peer",), 4.99),
        ("scaling", ("largest_over_smallest",), 0.49),
        ("latency", ("fraud", "hops", 0, "p50_ms"), 10.1),
        ("latency", ("fraud", "hops", 0, "p99_ms"), 30.1),
        ("lookup", ("servers", 0, "p99_ms"), 5.001),
        ("lookup", ("p99_ratio",), 1.31),
        ("lookup", ("p99_ratio",), None),
        ("page", ("tabs_cost_cores",), 0.11),
        ("post", ("p99_ms",), 60.01),
        ("post", ("p99_ms",), None),
        ("producers", ("events_per_second",), 149_999),
        ("producers", ("events_per_second",), None),
        ("replay", ("cpu_us_per_event",), 12.1),
        ("replay", ("peak_mb",), 1001),
        ("swap", ("max_s",), 2.01),
        ("swap", ("max_s",), None),
        ("training", ("seconds",), 60.01),
        ("training", ("peak_mb",), 1501),
    ],
)
def test_a_number_beyond_its_limit_or_infinite_misses_that_figure_alone(
    name: str, path: tuple[str | int, ...], value: Any
) -> None:
    rows = judged(name, *path, value=value)
    assert [row["measured"] for row in rows if not row["met"]] == [value]


@pytest.mark.parametrize(
    ("name", "path", "value", "failed"),
    [
        (
            "rolling",
            ("events_that_agree", "quix 1"),
            1999,
            "3 of 4 outputs agree on all 2,000 events",
        ),
        ("rolling", ("turns", "bytewax"), [1], "4 of 5 outputs agree on all 2,000 events"),
        (
            "latency",
            ("fraud", "hops", 0, "events"),
            239_999,
            "239,999 of 240,000 payments have a score",
        ),
        ("lookup", ("servers", 0, "failed"), 1, "1 requests to api"),
        ("lookup", ("servers", 1, "failed"), 2, "2 requests to bare"),
        ("post", ("failed",), 3, "3 failed"),
        ("page", ("frames_missed",), 2, "2 frames missed"),
        ("swap", ("scored",), 7, "2 lost"),
        ("swap", ("scored_twice",), 1, "1 twice"),
        ("post", ("pending",), 4, "4 pending"),
    ],
)
def test_where_something_failed_no_figure_is_met(
    name: str, path: tuple[str | int, ...], value: Any, failed: str
) -> None:
    rows = judged(name, *path, value=value)
    assert [(row["met"], row["failed"]) for row in rows] == [(False, failed)] * ROWS[name]


def test_a_result_without_what_it_is_judged_by_is_an_error() -> None:
    with pytest.raises(KeyError, match="pending"):
        figures({"post": {"p99_ms": 1.0, "failed": 0}})

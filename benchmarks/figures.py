"""Judge the figures.

A figure is met when its number is and nothing failed in the run that measured it. A percentile over
the answered requests alone, or a rate of wrong results, says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Result = Mapping[str, Any]
Row = dict[str, Any]


def figures(results: Mapping[str, Result]) -> list[Row]:
    """Return a row for each figure of the benchmarks that have a result.

    A row holds what was measured, the value, the target, whether it was met, and what failed ("" if
    nothing). Raise KeyError for a result that lacks what its figures are judged by.
    """
    return [
        row for name, judge in JUDGES.items() if name in results for row in judge(results[name])
    ]


def _at_least(what: str, measured: float | None, target: float, failed: str = "") -> Row:
    return _row(what, measured, target, measured is not None and measured >= target, failed)


def _at_most(what: str, measured: float | None, target: float, failed: str = "") -> Row:
    return _row(what, measured, target, measured is not None and measured <= target, failed)


def _row(what: str, measured: float | None, target: float, reached: bool, failed: str) -> Row:
    met = reached and not failed
    return {
        "what": what,
        "measured": measured,
        "target": f"{target:,}",
        "met": met,
        "failed": failed,
    }


def _rolling(result: Result) -> list[Row]:
    agreed, events = result["events_that_agree"], result["events"]
    others = sum(len(turns) for turns in result["turns"].values()) - 1
    alike = sum(count == events for count in agreed.values())
    failed = (
        "" if alike == others else f"{alike} of {others} outputs agree on all {events:,} events"
    )
    return [
        _at_least(
            "rolling, events per CPU-second", result["events_per_cpu_second"], 60_000, failed
        ),
        _at_least("rolling, times the better peer", result["times_the_better_peer"], 5, failed),
    ]


def _scaling(result: Result) -> list[Row]:
    return [_at_least("throughput, most keys over fewest", result["largest_over_smallest"], 0.5)]


def _latency(result: Result) -> list[Row]:
    fraud = result["fraud"]
    hop, sent = fraud["hops"][0], int(fraud["rate"] * fraud["seconds"])
    failed = "" if hop["events"] == sent else f"{hop['events']:,} of {sent:,} payments have a score"
    return [
        _at_most("event to Redis, p50 ms", hop["p50_ms"], 10, failed),
        _at_most("event to Redis, p99 ms", hop["p99_ms"], 30, failed),
    ]


def _lookup(result: Result) -> list[Row]:
    api, bare = result["servers"]
    failed = ", ".join(
        f"{row['failed']:,} requests to {row['server']}" for row in (api, bare) if row["failed"]
    )
    return [
        _at_most("look-up, p99 ms", api["p99_ms"], 5, failed),
        _at_most("look-up, p99 over a bare server's", result["p99_ratio"], 1.3, failed),
    ]


def _post(result: Result) -> list[Row]:
    undecided = {"failed": result["failed"], "pending": result["pending"]}
    failed = ", ".join(f"{count:,} {what}" for what, count in undecided.items() if count)
    return [_at_most("POST, p99 ms", result["p99_ms"], 60, failed)]


def _producers(result: Result) -> list[Row]:
    return [_at_least("producers, events/s", result["events_per_second"], 150_000)]


def _replay(result: Result) -> list[Row]:
    events, found = result["events"], result["distinct_ids"]
    failed = "" if found == events else f"{found:,} of {events:,} events arrived"
    return [
        _at_most("replay of the shop, CPU us an event", result["cpu_us_per_event"], 12, failed),
        _at_most("replay of the shop, MB", result["peak_mb"], 1000, failed),
    ]


def _shop_replay(result: Result) -> list[Row]:
    rebuilt = result["rebuild"]["seconds"]
    return [
        _at_most("whole replay of the shop, first row to last list, s", result["seconds"], 70),
        _at_most("recommender started anew after it, s", rebuilt, 30),
    ]


def _swap(result: Result) -> list[Row]:
    wrong = {"lost": result["payments"] - result["scored"], "twice": result["scored_twice"]}
    failed = ", ".join(f"{count:,} {what}" for what, count in wrong.items() if count)
    return [_at_most("promotion to first score by the new model, s", result["max_s"], 2, failed)]


def _page(result: Result) -> list[Row]:
    missed, tabs = result["frames_missed"], result["tabs"]
    failed = f"{missed:,} frames missed" if missed else ""
    return [
        _at_most(
            f"live page, {tabs} tabs, cores of the API", result["tabs_cost_cores"], 0.1, failed
        )
    ]


def _training(result: Result) -> list[Row]:
    rows = result["rows"]
    failed = "" if rows >= 1_200_000 else f"{rows:,} of 1,200,000 rows"
    return [
        _at_most("training frame of 1.2 million payments, s", result["seconds"], 60, failed),
        _at_most("training frame, MB of Python and Java", result["peak_mb"], 1500, failed),
    ]


def _recommend(result: Result) -> list[Row]:
    failed = f"{result['failed']:,} requests" if result["failed"] else ""
    return [
        _at_most("recommendations, POST at 1,000/s, p90 ms", result["p90_ms"], 3, failed),
        _at_most("recommendations, POST at 1,000/s, p99 ms", result["p99_ms"], 8, failed),
    ]


JUDGES: dict[str, Callable[[Result], list[Row]]] = {
    "rolling": _rolling,
    "scaling": _scaling,
    "latency": _latency,
    "lookup": _lookup,
    "post": _post,
    "producers": _producers,
    "recommend": _recommend,
    "replay": _replay,
    "shop_replay": _shop_replay,
    "swap": _swap,
    "page": _page,
    "training": _training,
}

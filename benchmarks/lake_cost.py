"""Measure what the lake's job costs the fraud path: latency with the job running and without.

    python -m benchmarks.lake_cost [--rate 1000] [--seconds 120] [--turns 2] [--quick]

Needs the stack with a model and the groups core, fraud and lake. The same stack is measured in
turns, first without the job, then with it, so that warmth and drift meet both. The job commits as
often as the stack's settings say: each turn with it lasts two commits or more by default. Latency
is from event to Redis, as in benchmarks.latency; the first seconds of each turn (`--drop`) are left
out. In the end `millrace lake check` must find every record once.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.cluster import Cluster
from benchmarks.lake import JOB, complete, millrace
from benchmarks.latency import fraud
from benchmarks.measure import cpu_seconds
from benchmarks.report import keep, show
from config.settings import settings

WITHOUT, WITH = "without", "with"


@contextmanager
def stopped() -> Iterator[None]:
    """Keep the lake's job away while the body runs."""
    millrace("jobs", "stop", JOB)
    try:
        yield
    finally:
        millrace("jobs", "submit", JOB)


def turn(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one turn; return the percentiles of event to Redis, warm."""
    pid = Cluster(settings()).taskmanager().pid
    before = cpu_seconds([pid])
    found = fraud(settings(), options.rate, options.seconds, options.drop, options.history)
    hop = next(one for one in found["hops"] if "after" in one["hop"])
    spent = round(cpu_seconds([pid]) - before, 1)
    return {"lake's job": name, **{k: v for k, v in hop.items() if k != "hop"}, "tm_cpu_s": spent}


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--drop", type=float, default=30)
    parser.add_argument("--history", type=int, default=50_000, help="payments before each turn")
    parser.add_argument("--turns", type=int, default=2, help="with the job, and as many without")
    parser.add_argument("--quick", action="store_true", help="shows that it works, not how fast")
    options = parser.parse_args()
    if options.quick:
        options.rate, options.seconds, options.drop = 200.0, 15.0, 5.0
        options.history, options.turns = 5_000, 1
    rows = []
    for _ in range(options.turns):
        with stopped():
            rows.append(turn(WITHOUT, options))
        rows.append(turn(WITH, options))
    show(f"event to Redis at {options.rate:g} events/s", rows)
    medians = {
        name: {
            key: statistics.median(row[key] for row in rows if row["lake's job"] == name)
            for key in ("p50_ms", "p99_ms")
        }
        for name in (WITHOUT, WITH)
    }
    result = {
        "rate": options.rate,
        "commit_seconds": settings().lake_commit_seconds,
        "turns": rows,
        "medians": medians,
        "complete": complete(),
    }
    print(keep("lake_cost-quick" if options.quick else "lake_cost", result))
    raise SystemExit(0 if result["complete"] else 1)


if __name__ == "__main__":
    main()

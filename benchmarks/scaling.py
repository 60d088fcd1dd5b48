"""Measure the rolling job as its state grows from 10 thousand to 1 million keys.

    python -m benchmarks.scaling [--quick] [--without-bloom]

Every run reads as many events of as many days: more keys means fewer events a key and more of them
cold. The first half of the events fills the state and warms the JVM. The sizes take turns for some
rounds, so that what else the machine does hits all of them.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from benchmarks.cluster import Cluster
from benchmarks.report import keep, show
from benchmarks.rolling import millrace, stage, warm_up
from benchmarks.workload import Workload
from config.settings import settings

WARM = 0.5
BLOOM = "state.backend.rocksdb.use-bloom-filter"


def measure(customers: int, events: int, bloom: bool) -> dict[str, Any]:
    """Run once. `disk_mb` is the greatest size seen of RocksDB's working folder."""
    place = stage(Workload(customers=customers, events=events))
    cluster = Cluster(place.settings)
    sizes: list[int] = []

    def look(count: int) -> None:
        if count >= events * 0.9:
            sizes.append(cluster.state_on_disk())

    rate, details, sink = millrace(place, events, WARM, {BLOOM: str(bloom).lower()}, seen=look)
    place.topics.delete(sink)
    return {
        "keys": customers,
        "bloom_filter": bloom,
        "events_per_second": round(rate.per_second),
        "events_per_cpu_second": round(rate.per_cpu_second),
        "disk_mb": round(max(sizes) / 1e6, 1),
        "checkpoint_mb": round(details["state_bytes"] / 1e6, 1),
        "checkpoint_ms": details["last_ms"],
    }


def run(sizes: list[int], events: int, rounds: int, without: bool) -> dict[str, Any]:
    """Run all sizes with the bloom filter, and the largest without it if `without`."""
    warm_up(events // 5)
    variants = [(customers, True) for customers in sizes] + (
        [(sizes[-1], False)] if without else []
    )
    rows = [
        measure(customers, events, bloom) for _ in range(rounds) for customers, bloom in variants
    ]
    speeds = {
        variant: statistics.mean(
            row["events_per_second"]
            for row in rows
            if (row["keys"], row["bloom_filter"]) == variant
        )
        for variant in variants
    }
    return {
        "runs": rows,
        "events_per_second": [
            {"keys": keys, "bloom_filter": bloom, "mean": round(speed)}
            for (keys, bloom), speed in speeds.items()
        ],
        "largest_over_smallest": round(speeds[sizes[-1], True] / speeds[sizes[0], True], 2),
    }


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="1, 10 and 100 thousand keys, 300,000 events"
    )
    parser.add_argument(
        "--without-bloom", action="store_true", help="the largest size also without bloom filter"
    )
    arguments = parser.parse_args()
    sizes = [1_000, 10_000, 100_000] if arguments.quick else [10_000, 100_000, 1_000_000]
    events, rounds = (300_000, 1) if arguments.quick else (3_000_000, 2)
    result = run(sizes, events, rounds, arguments.without_bloom)
    show(f"state of {settings().state_dir.name}", result["runs"])
    print(
        f"throughput at {sizes[-1]:,} keys over that at {sizes[0]:,}: "
        f"{result['largest_over_smallest']}"
    )
    print(keep("scaling-quick" if arguments.quick else "scaling", result))


if __name__ == "__main__":
    main()

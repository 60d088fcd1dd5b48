"""State that grows: the rolling job over 10 thousand, 100 thousand and 1 million keys, with and without bloom filter.

Every run reads as many events of as many days; more keys means fewer events a key and more of them cold. The first
40 % of the events fill the state and warm the JVM. Run: python -m benchmarks.scaling [--quick]
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.cluster import Cluster
from benchmarks.report import keep, show
from benchmarks.rolling import millrace, stage, warm_up
from benchmarks.workload import Workload
from config.settings import settings

WARM = 0.4
BLOOM = "state.backend.rocksdb.use-bloom-filter"


def measure(customers: int, events: int, bloom: bool) -> dict[str, Any]:
    """One run. `disk_mb` is the greatest size seen of RocksDB's working folder."""
    place = stage(Workload(customers=customers, events=events))
    cluster, sizes = Cluster(place.settings), [0]

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


def run(sizes: list[int], events: int, without: bool) -> dict[str, Any]:
    """All sizes with the bloom filter; the largest also without it if `without`."""
    warm_up(events // 5)
    rows = [measure(customers, events, bloom=True) for customers in sizes]
    ratio = rows[-1]["events_per_second"] / rows[0]["events_per_second"]
    if without:
        rows.append(measure(sizes[-1], events, bloom=False))
    return {"runs": rows, "largest_over_smallest": round(ratio, 2)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1, 10 and 100 thousand keys, 300,000 events")
    parser.add_argument("--without-bloom", action="store_true", help="the largest size also without bloom filter")
    arguments = parser.parse_args()
    sizes = [1_000, 10_000, 100_000] if arguments.quick else [10_000, 100_000, 1_000_000]
    result = run(sizes, 300_000 if arguments.quick else 5_000_000, arguments.without_bloom)
    show(f"state of {settings().state_dir.name}", result["runs"])
    print(f"throughput at {sizes[-1]:,} keys over that at {sizes[0]:,}: {result['largest_over_smallest']}")
    print(keep("scaling-quick" if arguments.quick else "scaling", result))


if __name__ == "__main__":
    main()

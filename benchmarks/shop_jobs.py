"""Measure what each of the shop's jobs costs an event: CPU of the TaskManager, Kafka to Kafka.

    python -m benchmarks.shop_jobs [--quick] [--only recommendations]

Needs the stack of the settings, where no job runs: the shop's own topics are made anew for it, and
removed afterwards. `shop-events` is filled with visits shaped as Retail Rocket's: two clicks a
visitor on average, most visitors with one, few with very many, and 14 events a minute, in order of
time; scores and stock movements there are none. Each job then reads the backlog, alone. The JVM's
start is left out: events count from `WARM` of the topic to its end, by the offsets that the job
commits with its checkpoints. What its compilers take meanwhile, which in a job of days is nothing,
is counted apart.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.cluster import Cluster
from benchmarks.kafka import Topics, register
from benchmarks.measure import cpu_seconds, watch
from benchmarks.profile import threads
from benchmarks.report import keep, show
from benchmarks.workload import Encoded
from config.products import jobs
from config.settings import Settings, settings
from config.topics import topics
from ingestion.schema import load, text
from ingestion.wire.encode import RecordEncoder

SOURCE = "shop-events"
SINKS = {
    "recommendations": "sessions",
    "business_metrics": "business-metrics",
    "inventory": "stock-levels",
}
OTHERS = ("fraud-scores", "stock-movements", "stock-log", "quarantine")
"""What the jobs read or write beside; it begins empty."""
EVENTS, QUICK = 1_200_000, 400_000
START_MS, MINUTE_MS, EVENTS_A_MINUTE = 1_430_622_000_000, 60_000, 14
CLICKS_A_VISIT, STEP_MS = 1.6, 90_000
ITEMS = 235_000
WARM = 0.4
OPTIONS = {"execution.checkpointing.interval": "5 s"}


def visits(events: int, seed: int = 11) -> Encoded:
    """Return so many events of visitors, encoded, in order of time."""
    rng = np.random.default_rng(seed)
    sizes = rng.geometric(1 / CLICKS_A_VISIT, size=events)
    count = int(np.searchsorted(np.cumsum(sizes), events)) + 1
    sizes = sizes[:count]
    # Some visitors come often: the square of a uniform number favours the first ones.
    visitors = (count * 0.8 * rng.random(count) ** 1.5).astype(np.int32)
    begun = START_MS + rng.integers(events * MINUTE_MS // EVENTS_A_MINUTE, size=count)
    user = np.repeat(visitors, sizes)[:events]
    step = rng.exponential(STEP_MS, size=int(sizes.sum())).astype(np.int64)
    at = (np.repeat(begun, sizes) + step * _places(sizes))[:events]
    item = (ITEMS * rng.random(events) ** 3).astype(np.int32)
    kind = rng.choice(3, size=events, p=(0.966, 0.026, 0.008))
    order = np.argsort(at, kind="stable")
    encode = RecordEncoder(load("ShopEvent")).values
    names = ("view", "addtocart", "transaction")
    rows = zip(
        at[order].tolist(),
        user[order].tolist(),
        item[order].tolist(),
        kind[order].tolist(),
        strict=True,
    )
    bodies = [
        encode(
            (
                f"rr-{place:016x}",
                names[action],
                moment,
                str(visitor),
                str(thing),
                str(place // 3) if action == 2 else None,
                float(thing % 900) + 0.5,
                1,
                None,
                None,
            )
        )
        for place, (moment, visitor, thing, action) in enumerate(rows)
    ]
    ends = np.cumsum([len(body) for body in bodies])
    return Encoded(b"".join(bodies), ends, user[order])


def _places(sizes: Any) -> Any:
    """Return each click's place in its visit, from 0."""
    return np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def fill(config: Settings, events: int) -> None:
    """Make the jobs' topics: the source with the events, the sinks empty."""
    broker = Topics(config.kafka_bootstrap)
    for name in (*SINKS.values(), *OTHERS):
        declared = topics()[name]
        broker.create(name, declared.partitions, max_message_bytes=str(declared.most_bytes))
    for name in (SOURCE, *SINKS.values(), *OTHERS):
        schema_id = register(config.registry_url, f"{name}-value", text(topics()[name].schema))
        if name == SOURCE:
            broker.fill(name, topics()[name].partitions, visits(events), schema_id)


def committed(admin: AdminClient, job: str) -> int:
    """Return how many events a job has committed."""
    group = f"millrace-{job}"
    parts = [TopicPartition(SOURCE, part) for part in range(topics()[SOURCE].partitions)]
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, parts)])
    found = asked[group].result(30).topic_partitions or []
    return sum(max(one.offset, 0) for one in found)


def compilers(pid: int) -> float:
    """Return the CPU-seconds of a JVM's compilers so far."""
    spent = threads(pid).values()
    return sum(seconds for name, seconds in spent if name.startswith(("C1 Comp", "C2 Comp")))


def working(pid: int) -> float:
    """Return the CPU-seconds of a JVM so far without its compilers'."""
    return cpu_seconds([pid]) - compilers(pid)


def measure(config: Settings, job: str, events: int) -> dict[str, Any]:
    """Run one job over the whole topic, from its beginning; return its figures."""
    cluster, module = Cluster(config), jobs()[job]
    admin = AdminClient({"bootstrap.servers": config.kafka_bootstrap})
    own = getattr(importlib.import_module(module.module), "OPTIONS", {})
    pid = cluster.taskmanager().pid
    before, since = cluster.garbage(), (time.monotonic(), working(pid))
    compiled = compilers(pid)
    identity = cluster.submit(Path(module.file), options={**own, **OPTIONS})
    try:
        rate = watch(
            lambda: committed(admin, job),
            lambda: working(pid),
            warm=int(events * WARM),
            done=events,
            alive=lambda: cluster.state(identity) in ("CREATED", "RUNNING", "RESTARTING"),
            since=since,
        )
        after = cluster.garbage()
        checkpoint = cluster.checkpoints(identity)
    finally:
        cluster.cancel(identity)
    return {
        "job": job,
        "us_an_event": round(1e6 / rate.per_cpu_second, 1),
        "compiler_seconds": round(compilers(pid) - compiled, 1),
        **rate.as_dict(),
        **{key: after[key] - before[key] for key in after},
        **checkpoint,
        "records_out": Topics(config.kafka_bootstrap).count(SINKS[job]),
    }


def clear(config: Settings) -> None:
    """Remove the jobs' topics and their offsets. Exit with a message where jobs run."""
    running = Cluster(config).rest("/jobs/overview")["jobs"]
    if any(job["state"] in ("RUNNING", "RESTARTING") for job in running):
        sys.exit("jobs run on this stack, and their topics would be removed: take another one")
    Topics(config.kafka_bootstrap).delete(SOURCE, *SINKS.values(), *OTHERS)
    admin = AdminClient({"bootstrap.servers": config.kafka_bootstrap})
    for group in admin.delete_consumer_groups([f"millrace-{job}" for job in SINKS]).values():
        group.exception(30)  # none is there the first time


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK:,} events: shows that it works, not how fast"
    )
    parser.add_argument("--only", default=",".join(SINKS), help="jobs, separated by commas")
    parser.add_argument("--events", type=int, default=EVENTS)
    arguments = parser.parse_args()
    events = QUICK if arguments.quick else arguments.events
    config = settings()
    clear(config)
    try:
        fill(config, events)
        rows = [measure(config, job, events) for job in arguments.only.split(",")]
    finally:
        clear(config)
    show("the shop's jobs, one at a time", rows)
    keep("shop_jobs", {"events": events, "jobs": rows})


if __name__ == "__main__":
    main()

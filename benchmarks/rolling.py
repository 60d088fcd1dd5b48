"""Compare `rolling` with quixstreams and bytewax in events per CPU-second.

    python -m benchmarks.rolling [--quick]

Needs the stack of the settings. Every contestant computes the same 12 values of the same events.

CPU-seconds are user and system time of the TaskManager, or of the peer's process, between two
counts of the output topic. The second half of the events counts: during the first the windows fill
and the JVM compiles what runs, and a shorter warm-up would count the compiler, which in a job of
days is nothing. The broker is left out in every case. The machine's speed changes, so all take
turns, ours around the peers': our median counts, and of a peer's two turns the better one.
`ratio_of_turns` is our slowest and our fastest turn over the better peer.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import agree
from benchmarks.cluster import Cluster
from benchmarks.kafka import Topics, register
from benchmarks.measure import Rate, cpu_seconds, watch
from benchmarks.report import keep, show
from benchmarks.workload import Workload, encoded
from config.settings import ROOT, Settings, settings
from ingestion.schema import text

JOB = ROOT / "benchmarks" / "jobs" / "rolling_bench.py"
IN_SCHEMA = ROOT / "ingestion" / "schema" / "Transaction.avsc"
OUT_SCHEMA = ROOT / "benchmarks" / "schema" / "RollingResult.avsc"
OURS = "millrace"
TURNS = (OURS, "quix", "bytewax", OURS, "bytewax", "quix", OURS)
PARTITIONS = 2
INTERVAL_S = 10
WARM = 0.5
# A fuller network buffer, as the peers have batches; the fraud job sends at once.
OPTIONS = {"parallelism.default": "1", "execution.buffer-timeout.interval": "20 ms"}


@dataclass(frozen=True, slots=True)
class Stage:
    """The broker and the filled source topic of a run."""

    settings: Settings
    topics: Topics
    source: str
    out_id: int

    def sink(self, name: str) -> str:
        """Create a fresh, empty output topic."""
        topic = f"bench-{name}-{time.time_ns() // 1_000_000}"
        self.topics.create(topic, PARTITIONS)
        return topic


def stage(workload: Workload) -> Stage:
    """Fill the source topic (once per workload) and register the output's schema."""
    config = settings()
    topics = Topics(config.kafka_bootstrap)
    source = f"bench-{workload.name}"
    records = encoded(workload, config.build_dir / "bench")
    topics.fill(
        source,
        PARTITIONS,
        records,
        register(config.registry_url, f"{source}-value", text("Transaction")),
    )
    return Stage(
        config,
        topics,
        source,
        register(config.registry_url, "bench-rolling-value", OUT_SCHEMA.read_text()),
    )


def millrace(
    place: Stage,
    events: int,
    warm: float = WARM,
    options: dict[str, str] | None = None,
    seen: Callable[[int], None] | None = None,
) -> tuple[Rate, dict[str, Any], str]:
    """Run the kernel on the session cluster; return the rate, details and the output topic.

    `options` are Flink settings of this job; `seen` is called with each count of the output topic.
    """

    def progress() -> int:
        count = place.topics.count(sink)
        if seen:
            seen(count)
        return count

    cluster, sink = Cluster(place.settings), place.sink("millrace")
    pid = cluster.taskmanager().pid
    before, since = cluster.garbage(), (time.monotonic(), cpu_seconds([pid]))
    chosen = {"execution.checkpointing.interval": f"{INTERVAL_S} s", **OPTIONS, **(options or {})}
    job = cluster.submit(JOB, "--source", place.source, "--sink", sink, options=chosen)
    try:
        rate = watch(
            progress,
            lambda: cpu_seconds([pid]),
            warm=int(events * warm),
            done=events,
            alive=lambda: cluster.state(job) in ("CREATED", "RUNNING", "RESTARTING"),
            since=since,
        )
        after = cluster.garbage()
        details = {
            **{key: after[key] - before[key] for key in after},
            "restarts": cluster.restarts(job),
            **cluster.checkpoints(job),
        }
    finally:
        cluster.cancel(job)
    return rate, details, sink


def warm_up(events: int) -> None:
    """Run one job first, so that the JVM is as warm as that of a long-running cluster."""
    place = stage(Workload(events=events))
    _, _, sink = millrace(place, events)
    place.topics.delete(sink)


def peer(place: Stage, name: str, events: int, warm: float = WARM) -> tuple[Rate, str]:
    """Run a peer in its own process and stop it once `events` results are out.

    Return its rate and output topic.
    """
    sink = place.sink(name)
    state = place.settings.build_dir / "bench" / f"state-{name}"
    shutil.rmtree(state, ignore_errors=True)
    with (place.settings.build_dir / "bench" / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            peer_command(place, name, sink, state), cwd=ROOT, stdout=log, stderr=log
        )
        try:
            rate = watch(
                lambda: place.topics.count(sink),
                lambda: cpu_seconds([process.pid]),
                warm=int(events * warm),
                done=events,
                alive=lambda: process.poll() is None,
            )
        finally:
            process.terminate()
            process.wait(60)
    shutil.rmtree(state, ignore_errors=True)
    return rate, sink


def peer_command(place: Stage, name: str, sink: str, state: Path, *more: str) -> list[str]:
    """Return a peer's command line."""
    arguments = {
        "bootstrap": place.settings.kafka_bootstrap,
        "source": place.source,
        "sink": sink,
        "in-schema": IN_SCHEMA,
        "out-schema": OUT_SCHEMA,
        "out-id": place.out_id,
        "state-dir": state,
        "interval": INTERVAL_S,
    }
    line = [str(ROOT / ".venv-peers" / "bin" / "python"), "-m", f"benchmarks.peers.{name}_rolling"]
    return [
        *line,
        *(word for key, value in arguments.items() for word in (f"--{key}", str(value))),
        *more,
    ]


def run(workload: Workload) -> dict[str, Any]:
    """Run every turn over the whole workload and compare the outputs.

    Raise DisagreementError if they differ.
    """
    place = stage(workload)
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in dict.fromkeys(TURNS)}
    outputs: dict[str, str] = {}
    warm_up(events=workload.events // 4)
    for name in TURNS:
        row, sink = turn(place, name, workload.events)
        turns[name].append(row)
        outputs[f"{name} {len(turns[name])}"] = sink
        print(f"{name}: {row['events_per_cpu_second']:,} events per CPU-second", flush=True)
    agreed = agreement(place.topics, outputs)
    place.topics.delete(*outputs.values())
    return {
        "workload": workload.name,
        "events": workload.events,
        **summary(turns),
        "events_that_agree": agreed,
    }


def turn(place: Stage, name: str, events: int) -> tuple[dict[str, Any], str]:
    """Run one contestant over the whole workload; return its figures and output topic."""
    if name == OURS:
        rate, details, sink = millrace(place, events)
        return {**rate.as_dict(), **details}, sink
    rate, sink = peer(place, name, events)
    return dict(rate.as_dict()), sink


def agreement(topics: Topics, outputs: dict[str, str]) -> dict[str, int]:
    """Return how many events of each other output agree with the first's.

    Raise DisagreementError unless all do.
    """
    (first, topic), *others = outputs.items()
    whole = agree.by_transaction(first, (value for value, _ in topics.read(topic)))
    return {
        name: agree.compare(whole, name, (value for value, _ in topics.read(topic)))
        for name, topic in others
    }


def summary(turns: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Pick the turn that counts for each contestant, and compare ours with the better peer's.

    The upper of the middle ones counts: the median of our three turns, the better of a peer's two.
    """
    speeds = {name: [row["events_per_cpu_second"] for row in rows] for name, rows in turns.items()}
    contestants = {
        name: sorted(rows, key=lambda row: float(row["events_per_cpu_second"]))[len(rows) // 2]
        for name, rows in turns.items()
    }
    best = max(row["events_per_cpu_second"] for name, row in contestants.items() if name != OURS)
    ours = contestants[OURS]["events_per_cpu_second"]
    return {
        "contestants": contestants,
        "turns": speeds,
        "events_per_cpu_second": ours,
        "times_the_better_peer": round(ours / best, 2),
        "ratio_of_turns": [round(limit(speeds[OURS]) / best, 2) for limit in (min, max)],
    }


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="100,000 events: shows that it works, not how fast"
    )
    quick = parser.parse_args().quick
    result = run(Workload(events=100_000 if quick else 2_000_000))
    show(
        "rolling",
        [{"contestant": name, **figures} for name, figures in result["contestants"].items()],
    )
    lowest, highest = result["ratio_of_turns"]
    print(f"events that agree: {result['events_that_agree']}")
    print(f"{result['times_the_better_peer']} times the better peer, {lowest} to {highest} by turn")
    print(keep("rolling-quick" if quick else "rolling", result))


if __name__ == "__main__":
    main()

"""Measure a whole replay of the shop: from the first row of a file to the last list in Redis.

    python -m benchmarks.shop_replay [--events 2756101] [--quick] [--inventory]

Needs the shop's part of the stack, with both jobs, nothing else sending; with `--inventory` that
group, too, whose job reads every event for the sales among them. Simulates a file of Retail
Rocket's shape, replays it with `millrace replay retail-rocket`, and waits until every session is
told and learnt, every window is stored, and every visitor whom the recommender remembers has a
list. Says when each stage was through, and what each process spent: microseconds of CPU an event,
which other work on the machine disturbs less than the seconds. The reference is 70 s. Then starts
the recommender anew, which rebuilds its index from all these sessions: 30 s is asked.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.cluster import Cluster, listening
from benchmarks.kafka import Topics
from benchmarks.measure import cpu_seconds
from benchmarks.recommend import measured
from benchmarks.replay import MILLRACE, Ran, ran
from benchmarks.report import keep, show
from config.settings import Settings, settings
from ingestion.shop.shop_files import EVENTS, write
from ingestion.shop.shop_simulator import Shape
from serving.consumers.run import metrics_port

QUICK = 100_000
SESSIONS, MINUTES, LEVELS = "sessions", "business-metrics", "stock-levels"
QUIET_S, PATIENCE_S = 10.0, 1200.0
FOLDED_AT_MOST = 4
"""Clicks in a record of a session: the job folds versions, how many is not known beforehand."""
HANDLED = "millrace_consumer_records_total"


class Stages:
    """When each stage was through, in seconds since the beginning."""

    def __init__(self, config: Settings, events: int, *, inventory: bool) -> None:
        self._config, self._topics = config, Topics(config.kafka_bootstrap)
        self._events, self._inventory = events, inventory
        self._before = self._counts()
        self._last = self._before
        self._began = time.monotonic()
        self.changed = dict.fromkeys(self._before, 0.0)

    def _counts(self) -> dict[str, float]:
        config, topics = self._config, self._topics
        stock = {}
        if self._inventory:
            stock = {
                "stock told": topics.count(LEVELS),
                "stock stored": measured(config, HANDLED, "stock"),
            }
        return {
            **stock,
            "sessions told": topics.count(SESSIONS),
            "windows told": topics.count(MINUTES),
            "sessions learnt": measured(config, HANDLED),
            "windows stored": measured(config, HANDLED, "business"),
            "visitors without a list": measured(config, "millrace_recommendations_waiting"),
        }

    def through(self) -> bool:
        """Look once; return whether nothing is left to do and nothing changes any more."""
        now, found = time.monotonic() - self._began, self._counts()
        for name, count in found.items():
            if count != self._last[name]:
                self.changed[name] = now
        self._last = found
        grown = {name: count - self._before[name] for name, count in found.items()}
        done = (
            grown["sessions told"] >= self._events / FOLDED_AT_MOST
            and grown["sessions learnt"] >= grown["sessions told"]
            and grown["windows stored"] >= grown["windows told"]
            and (not self._inventory or grown["stock stored"] >= grown["stock told"] > 0)
            and found["visitors without a list"] == 0
        )
        if now > PATIENCE_S:
            raise RuntimeError(f"not through after {PATIENCE_S:.0f} s: {grown}")
        return done and now - max(self.changed.values()) > QUIET_S


def processes(config: Settings, *, inventory: bool = False) -> dict[str, int]:
    """Return the stack's processes that the events pass, by name."""
    ports = {
        "broker": config.port("kafka"),
        "recommender": metrics_port(config, "recommender"),
        "business": metrics_port(config, "business"),
        "redis": config.port("redis"),
        **({"stock": metrics_port(config, "stock")} if inventory else {}),
    }
    return {**listening(ports), "jobs": Cluster(config).taskmanager().pid}


def measure(config: Settings, events: int, *, inventory: bool = False) -> dict[str, Any]:
    """Replay so many events; return the figures. Raise RuntimeError if the replay failed."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as pool:
        write(Path(folder), Shape.of(events), seed=1)
        pids = processes(config, inventory=inventory)
        before = {name: cpu_seconds([pid]) for name, pid in pids.items()}
        stages = Stages(config, events, inventory=inventory)
        replay: Future[Ran] = pool.submit(
            ran, Path(folder) / EVENTS, topics=Topics(config.kafka_bootstrap)
        )
        while not (replay.done() and stages.through()):
            time.sleep(0.25)
        spent = {name: cpu_seconds([pid]) - before[name] for name, pid in pids.items()}
        sent = replay.result()
    if sent.code:
        raise RuntimeError(f"the replay ended with {sent.code}: {sent.out}")
    seconds = max(sent.seconds, *stages.changed.values())
    cost = {"producer": sent.cpu, **spent}
    return {
        "events": events,
        "inventory": inventory,
        "seconds": round(seconds, 1),
        "events_per_second": round(events / seconds),
        "through_after_s": {
            "events sent": round(sent.seconds, 1),
            **{name: round(at, 1) for name, at in stages.changed.items()},
        },
        "cpu_us_per_event": {
            **{name: round(one / events * 1e6, 2) for name, one in cost.items()},
            "all": round(sum(cost.values()) / events * 1e6, 2),
        },
    }


def rebuild(config: Settings) -> dict[str, Any]:
    """Start the recommender anew; return how long it takes until it is ready, and its CPU."""
    records, began = Topics(config.kafka_bootstrap).count(SESSIONS), time.monotonic()
    line = [MILLRACE, "restart", "consumer-recommender", "--timeout", f"{PATIENCE_S:.0f}"]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    seconds, cpu = time.monotonic() - began, cpu_seconds([processes(config)["recommender"]])
    return {
        "records": records,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "records_per_second": round(records / seconds),
        "sessions_in_the_index": int(measured(config, "millrace_recommendations_sessions")),
    }


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=Shape().events)
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK:,} events: shows that it works, not how fast"
    )
    parser.add_argument("--inventory", action="store_true", help="stock is kept beside")
    options = parser.parse_args()
    config = settings()
    events = QUICK if options.quick else options.events
    result = measure(config, events, inventory=options.inventory)
    result["rebuild"] = rebuild(config)
    show("a whole replay of the shop", [{key: result[key] for key in list(result)[:4]}])
    show("through after s", [result["through_after_s"]])
    show("CPU us an event", [result["cpu_us_per_event"]])
    show("the recommender started anew", [result["rebuild"]])
    name = "shop_replay-inventory" if options.inventory else "shop_replay"
    print(keep(f"{name}-quick" if options.quick else name, result))


if __name__ == "__main__":
    main()

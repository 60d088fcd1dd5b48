"""Measure how long a promotion takes to reach the scorer, with payments going through.

    python -m benchmarks.swap [--rate 200] [--swaps 20] [--quick]

Needs the whole stack (`millrace up`); of models that are missing two are trained. While payments
come at a fixed rate, one model and then the other is promoted, each when the one before has scored.
Measured is from the call of `promote` to the time at which the scorer had scored the first payment
by that model, and whether each payment was scored once. Target: 2 s at most, none lost, none twice.
"""

from __future__ import annotations

import argparse
import io
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import fastavro

from benchmarks.kafka import Topics, register
from benchmarks.latency import Pace
from benchmarks.report import keep, show
from config.settings import ROOT, Settings, settings
from ingestion.schema import load, text
from millrace.stack.layout import Layout
from orchestration.shelf.store import Store

EVERY_S = 3.0
LOOK_S = 0.5
PATIENCE_S = 120.0
Score = tuple[str, str, int]
"""A payment's id, the model that scored it, and when, in ms."""


class Scores:
    """The scores of a run's payments, read as they come."""

    def __init__(self, topics: Topics, run: str) -> None:
        self._topics, self._run = topics, run
        self._since = topics.position("fraud-scores")
        self._schema = fastavro.parse_schema({**load("FraudScore")})
        self.found: list[Score] = []

    def first(self, version: str, began: float, alive: Callable[[], bool]) -> float:
        """Return when a model first scored from `began` on; infinity if it does not in time.

        Wait as long as `alive` says that payments come, `PATIENCE_S` at most. Times are in ms.
        """
        read = 0
        deadline = time.monotonic() + PATIENCE_S
        while True:
            more = alive() and time.monotonic() < deadline
            self.look()
            times = [at for _, by, at in self.found[read:] if by == version and at >= began]
            if times or not more:
                return min(times, default=float("inf"))
            read = len(self.found)
            time.sleep(LOOK_S)

    def all_of(self, sent: int) -> Counter[str]:
        """Wait until each of the payments sent has a score, and return how many each has."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.look()
            times = Counter(identity for identity, _, _ in self.found)
            if len(times) >= sent or time.monotonic() > deadline:
                return times
            time.sleep(LOOK_S)

    def look(self) -> None:
        """Read what has come since the last look."""
        until = self._topics.position("fraud-scores")
        self.found += self._ours(self._topics.read("fraud-scores", self._since, until))
        self._since = until

    def _ours(self, values: Iterable[tuple[bytes, int]]) -> Iterator[Score]:
        for value, _ in values:
            score: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), self._schema, None)
            if score["transaction_id"].startswith(self._run):
                at = round(score["scored_at"].timestamp() * 1000)
                yield score["transaction_id"], score["model_version"], at


def models(config: Settings) -> list[str]:
    """Return two models for the features of now; train what is missing."""
    store = Store(Layout.of(config).models / "fraud")
    for seed in (7, 8, 9):
        known = store.versions()
        if len(known) > 1:
            return known[-2:]
        line = (sys.executable, "-m", "millrace.cli.main", "train", "fraud", "--simulate")
        subprocess.run((*line, "--seed", str(seed)), cwd=ROOT, check=True)
    raise RuntimeError("trained three times, and there are no two models")


def swap(config: Settings, rate: float, swaps: int) -> dict[str, Any]:
    """Promote in turns while payments go through, and return what became of both."""
    store, two = Store(Layout.of(config).models / "fraud"), models(config)
    if store.current() == two[0]:
        two.reverse()
    topics = Topics(config.kafka_bootstrap)
    pace = Pace(config, register(config.registry_url, "transactions-value", text("Transaction")))
    run = f"swap{int(time.time())}-"
    scores = Scores(topics, run)
    sent: list[int] = []
    seconds = (swaps + 2) * EVERY_S
    sender = threading.Thread(
        target=lambda: sent.append(pace.send("transactions", rate, seconds, run))
    )
    sender.start()
    first, promoting = [], []
    due = time.monotonic()
    for number in range(swaps):
        due = max(due + EVERY_S, time.monotonic())
        time.sleep(due - time.monotonic())
        began = time.time()
        version, _ = store.promote(two[number % 2])
        promoting.append(time.time() - began)
        first.append(scores.first(version, began * 1000, sender.is_alive) / 1000 - began)
    sender.join()
    times = scores.all_of(sent[0])
    return {
        "rate": rate,
        "swaps": swaps,
        "p50_s": round(statistics.median(first), 3),
        "max_s": round(max(first), 3),
        "promote_p50_ms": round(statistics.median(promoting) * 1000, 1),
        "payments": sent[0],
        "scored": len(times),
        "scored_twice": sum(count > 1 for count in times.values()),
    }


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    result = swap(settings(), options.rate, 4 if options.quick else options.swaps)
    show("promotion to the first score by the new model", [result])
    print(keep("swap", result))


if __name__ == "__main__":
    main()

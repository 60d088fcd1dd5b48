"""Measure how long a promotion takes to reach the scorer, with payments going through.

    python -m benchmarks.swap [--rate 200] [--swaps 20] [--quick]

Needs the whole stack (`millrace up`); of models that are missing two are trained. While payments
come at a fixed rate, one model and then the other is promoted. Measured is from the call of
`promote` to the time at which the scorer had scored the first payment by that model, and whether
each payment was scored once. Target: 2 s at most, none lost, none twice.
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
from collections.abc import Sequence
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
PATIENCE_S = 120.0
Score = tuple[str, str, int]
"""A payment's id, the model that scored it, and when, in ms."""


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
    run, since = f"swap{int(time.time())}-", topics.position("fraud-scores")
    sent: list[int] = []
    seconds = (swaps + 2) * EVERY_S
    sender = threading.Thread(
        target=lambda: sent.append(pace.send("transactions", rate, seconds, run))
    )
    sender.start()
    promoted = []
    for number in range(swaps):
        time.sleep(EVERY_S)
        began = time.time()
        version, _ = store.promote(two[number % 2])
        promoted.append((began * 1000, version, (time.time() - began) * 1000))
    sender.join()
    scores = _scores(topics, since, run, sent[0])
    first = [_first(scores, version, began) - began for began, version, _ in promoted]
    times = Counter(identity for identity, _, _ in scores)
    return {
        "rate": rate,
        "swaps": swaps,
        "p50_s": round(statistics.median(first) / 1000, 3),
        "max_s": round(max(first) / 1000, 3),
        "promote_p50_ms": round(statistics.median(one[2] for one in promoted), 1),
        "payments": sent[0],
        "scored": len(times),
        "scored_twice": sum(count > 1 for count in times.values()),
    }


def _scores(topics: Topics, since: Any, run: str, sent: int) -> list[Score]:
    """Return every score of the run, when each payment has one."""
    schema = fastavro.parse_schema({**load("FraudScore")})
    until = time.monotonic() + PATIENCE_S
    while True:
        found: list[Score] = []
        for value, _ in topics.read("fraud-scores", since):
            score: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, None)
            if score["transaction_id"].startswith(run):
                at = round(score["scored_at"].timestamp() * 1000)
                found.append((score["transaction_id"], score["model_version"], at))
        if len({one[0] for one in found}) >= sent or time.monotonic() > until:
            return found
        time.sleep(0.5)


def _first(scores: Sequence[Score], version: str, began: float) -> float:
    """Return when a model first scored after it was promoted; infinity if it never did.

    A model that the next one displaced before it scored was never taken up in time.
    """
    return min((at for _, by, at in scores if by == version and at >= began), default=float("inf"))


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

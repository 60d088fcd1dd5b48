"""Measure `millrace replay retail-rocket` at full size: CPU, memory, and what arrives.

    python -m benchmarks.replay [--events 2756101] [--quick]

Needs Kafka and the registry. Simulates the shop's files, replays events.csv, interrupts that when a
third is through, and lets the same command go on; each event must then be in the topic, by its id,
and at most one batch twice. Then replays it once more, whole, for the figures: the command's own
CPU-seconds (reading, sorting, encoding, sending) and its peak memory. Wall time is in the table,
too, and says more of what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.kafka import Topics
from benchmarks.report import keep, show
from config.settings import ROOT, settings
from ingestion.shop.chunks import ROWS_A_CHUNK, TOPIC
from ingestion.shop.shop_files import EVENTS, write
from ingestion.shop.shop_simulator import Shape

MILLRACE = str(ROOT / ".venv" / "bin" / "millrace")
# In a ShopEvent's bytes the id comes first: header, length, text.
_ID = slice(6, None)


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished command: its exit code, what it printed, CPU-seconds, peak memory, wall time."""

    code: int
    out: str
    cpu: float
    peak_mb: float
    seconds: float


def ran(path: Path, *options: str, stop_at: int | None = None, topics: Topics) -> Ran:
    """Replay a file; send Ctrl-C when the topic has grown by `stop_at` records."""
    line = [MILLRACE, "replay", "retail-rocket", str(path), "--json", *options]
    before, began = topics.count(TOPIC), time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(line, stdout=out, preexec_fn=_interruptible)
        if stop_at is not None:
            while topics.count(TOPIC) - before < stop_at:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    cpu = used.ru_utime + used.ru_stime
    seconds = time.monotonic() - began
    return Ran(process.returncode, text, cpu, used.ru_maxrss / 1024, seconds)


def _interruptible() -> None:
    """Let Ctrl-C arrive, which a shell keeps from what it runs in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ids(topics: Topics, since: dict[int, int]) -> Counter[bytes]:
    """Return how often each event id came, without decoding the rest."""
    seen: Counter[bytes] = Counter()
    for value, _ in topics.read(TOPIC, since):
        seen[value[_ID][: value[5] >> 1]] += 1
    return seen


def measure(events: int) -> dict[str, Any]:
    """Return the figures. Raise RuntimeError if an event is missing or a command failed."""
    topics = Topics(settings().kafka_bootstrap)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), Shape.of(events), seed=1)
        path = Path(folder) / EVENTS
        since = topics.position(TOPIC)
        stopped = ran(path, stop_at=events // 3, topics=topics)
        resumed = ran(path, topics=topics)
        summary = json.loads(resumed.out) if resumed.code == 0 else {}
        seen = ids(topics, since)
        twice = seen.total() - len(seen)
        if stopped.code != 130 or resumed.code or len(seen) != events or twice > ROWS_A_CHUNK:
            raise RuntimeError(
                f"{len(seen):,} of {events:,} events arrived, {twice:,} twice; "
                f"exit codes {stopped.code} and {resumed.code}"
            )
        whole = ran(path, topics=topics)
    return {
        "events": events,
        "cpu_seconds": round(whole.cpu, 2),
        "cpu_us_per_event": round(whole.cpu / events * 1e6, 2),
        "peak_mb": round(whole.peak_mb),
        "seconds": round(whole.seconds, 1),
        "events_per_second": round(events / whole.seconds),
        "resumed_at": summary["resumed_at"],
        "distinct_ids": len(seen),
        "sent_twice": twice,
    }


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=Shape().events)
    parser.add_argument(
        "--quick", action="store_true", help="200,000 events: shows that it works, not how fast"
    )
    options = parser.parse_args()
    result = measure(200_000 if options.quick else options.events)
    show("millrace replay retail-rocket", [result])
    print(keep("replay-quick" if options.quick else "replay", result))


if __name__ == "__main__":
    main()

"""Measure how fast the lake's job writes a backlog of payments into Iceberg, and what comes of it.

    python -m benchmarks.lake [--quick]

Needs the stack of the settings with the group `lake`, whose topics may hold anything before. All
jobs are stopped, the payments are sent, and the lake's is submitted again: it goes on where its
tables end, and reads the backlog alone. It commits every 5 s. The start of the JVM's work is left
out: rows count from the first commit after the submission to the last (a quick run has but one, so
no rate). Afterwards `millrace lake check` must find every record once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.cluster import Cluster
from benchmarks.measure import cpu_seconds
from benchmarks.report import keep, show
from config.settings import ROOT, settings
from lakehouse.catalog import catalog
from lakehouse.listing import size

JOB, TABLE = "lakehouse", "bronze.transactions"
EVENTS, QUICK = 2_000_000, 100_000
COMMIT_S, TIMEOUT_S = 5, 900
MILLRACE = ROOT / ".venv" / "bin" / "millrace"


def millrace(*arguments: str) -> Any:
    """Run `millrace …` and return its JSON. Raise CalledProcessError if it fails."""
    line = [str(MILLRACE), *arguments, "--json"]
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return json.loads(done.stdout)


@contextmanager
def alone() -> Iterator[None]:
    """Keep all other jobs away while the body runs: they would read the payments, too."""
    running = [one["name"] for one in millrace("jobs", "list") if one["state"] == "RUNNING"]
    others = [name for name in running if name != JOB]
    for name in others:
        millrace("jobs", "stop", name)
    try:
        yield
    finally:
        for name in others:
            millrace("jobs", "submit", name)


def measure(events: int) -> dict[str, Any]:
    """Write a backlog and return the figures. Raise TimeoutError if it takes too long."""
    millrace("jobs", "stop", JOB)
    lake = catalog(settings())
    before = size(lake.load_table(TABLE))
    millrace("simulate", "--events", str(events))
    pid = Cluster(settings()).taskmanager().pid
    millrace("jobs", "submit", JOB)
    submitted = time.monotonic()
    first: tuple[float, float, int] | None = None
    while True:
        after = size(lake.load_table(TABLE))
        now, rows, cpu = time.monotonic(), after.rows - before.rows, cpu_seconds([pid])
        if rows and first is None:
            first = now, cpu, rows
        if rows >= events and first is not None:
            break
        if now - submitted > TIMEOUT_S:
            raise TimeoutError(f"{rows:,} of {events:,} rows after {TIMEOUT_S} s")
        time.sleep(0.2)
    wall, spent, counted = now - first[0], cpu - first[1], rows - first[2]
    files, written = after.files - before.files, after.bytes - before.bytes
    return {
        "events": events,
        "rows_per_second": round(counted / wall) if counted else None,
        "rows_per_cpu_second": round(counted / spent) if counted else None,
        "seconds_with_start": round(now - submitted, 1),
        "files": files,
        "kib_a_file": round(written / files / 1024, 1),
        "bytes_a_row": round(written / events, 1),
    }


def complete() -> bool:
    """Return whether the lake has every record once."""
    line = [str(MILLRACE), "lake", "check", "--json"]
    done = subprocess.run(line, check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return done.returncode == 0 and all(one["complete"] for one in json.loads(done.stdout))


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK:,} events: shows that it works, not how fast"
    )
    parser.add_argument("--events", type=int, default=EVENTS)
    arguments = parser.parse_args()
    os.environ["MILLRACE_LAKE_COMMIT_SECONDS"] = str(COMMIT_S)
    with alone():
        found = measure(QUICK if arguments.quick else arguments.events)
    show("the lake's job over a backlog of payments", [found])
    found["complete"] = complete()
    keep("lake-quick" if arguments.quick else "lake", found)
    sys.exit(0 if found["complete"] else 1)


if __name__ == "__main__":
    main()

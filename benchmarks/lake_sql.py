"""Measure `millrace sql` on ten million payments, each query a process of its own.

    python -m benchmarks.lake_sql [--rows 10000000] [--files 300] [--rounds 5]

Makes a lake in a temporary folder, needs nothing that runs. The time is the whole command's, start
of Python and libraries included; `nothing` asks no table, so the difference is the query's. Each
day comes in about ten commits, so in as many files; all is asked before and after upkeep.
The answers of the first two are compared with what NumPy says of the same numbers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.report import keep, show
from config.lake import LakeTable
from config.settings import ROOT, Settings
from lakehouse import listing
from lakehouse.catalog import catalog
from lakehouse.tables import apply

DAYS = 30
START = np.datetime64("2026-03-01", "us")
QUERIES = {
    "nothing": "select 1 as one",
    "count": "select count(*) as n from bronze.transactions",
    "sum": "select sum(amount) as total from bronze.transactions",
    "by day": "select cast(event_time as date) as day, count(*), sum(amount) "
    "from bronze.transactions group by day order by day",
    "one day": "select count(*) as n from bronze.transactions "
    "where event_time >= '2026-03-10' and event_time < '2026-03-11'",
    "one customer": "select * from bronze.transactions where customer_id = 'c4711' limit 100",
    "top customers": "select customer_id, sum(amount) as spent from bronze.transactions "
    "group by customer_id order by spent desc limit 20",
}


def amounts(rows: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the amounts of all payments."""
    return np.round(np.random.default_rng(7).gamma(2.0, 25.0, rows), 2)


def batches(rows: int, files: int) -> Iterator[pa.Table]:
    """Yield the payments, in order of time, in as many tables as commits."""
    draw = np.random.default_rng(8)
    values, size = amounts(rows), rows // files
    for first in range(0, rows, size):
        at = np.arange(first, min(first + size, rows))
        times = START + (at * (DAYS * 86_400_000_000 // rows)).astype("timedelta64[us]")
        customers = draw.integers(0, 50_000, len(at))
        terminals = draw.integers(0, 10_000, len(at))
        yield pa.table(
            {
                "_topic": pa.array(["transactions"] * len(at)),
                "_partition": pa.array(np.zeros(len(at), np.int32)),
                "_offset": pa.array(at),
                "_ingested_at": pa.array(times, pa.timestamp("us", tz="UTC")),
                "transaction_id": pa.array([f"t{one}" for one in at.tolist()]),
                "event_time": pa.array(times, pa.timestamp("us", tz="UTC")),
                "customer_id": pa.array([f"c{one}" for one in customers.tolist()]),
                "terminal_id": pa.array([f"k{one}" for one in terminals.tolist()]),
                "amount": pa.array(values[at]),
            }
        )


def fill(state: Path, rows: int, files: int) -> dict[str, Any]:
    """Make a lake of so many payments in so many commits, and return its size."""
    lake = catalog(Settings.model_validate({"state_dir": state}))
    declared = LakeTable("transactions", "transactions", "Transaction", "event_time")
    apply(lake, [declared])
    table = lake.load_table(declared.identifier)
    warnings.filterwarnings("ignore", "Parquet writer option")
    for batch in batches(rows, files):
        table.append(batch)
    found = list(table.inspect.files()["file_size_in_bytes"].to_pylist())
    return {"rows": rows, "files": len(found), "mib": round(sum(found) / 2**20, 1)}


def command(state: Path, *arguments: str) -> tuple[float, str]:
    """Run a command of Millrace's on a folder's lake; return its seconds and its output."""
    environment = {**os.environ, "MILLRACE_STATE_DIR": str(state)}
    line = [sys.executable, "-m", "millrace.cli.main", *arguments]
    began = time.perf_counter()
    done = subprocess.run(
        line, env=environment, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    return time.perf_counter() - began, done.stdout


def asked(state: Path, query: str) -> tuple[float, list[dict[str, Any]]]:
    """Run the command and return its seconds and its rows."""
    took, text = command(state, "sql", query, "--json")
    return took, json.loads(text)


def asked_all(state: Path, rows: int, rounds: int) -> dict[str, float]:
    """Ask every query in turns and return the median seconds of each. Exit if one is wrong."""
    seconds: dict[str, list[float]] = {name: [] for name in QUERIES}
    for _ in range(rounds):
        for name, query in QUERIES.items():
            took, found = asked(state, query)
            seconds[name].append(took)
            if name == "count" and found != [{"n": rows}]:
                raise SystemExit(f"counted {found}")
            if name == "sum" and abs(found[0]["total"] / amounts(rows).sum() - 1) > 1e-9:
                raise SystemExit(f"added up to {found}")
    return {name: round(statistics.median(found), 2) for name, found in seconds.items()}


def upkeep(state: Path) -> dict[str, Any]:
    """Run `millrace lake upkeep` and return what became of the files."""
    took, _ = command(state, "lake", "upkeep", "--keep-hours", "0")
    found = listing.size(
        catalog(Settings.model_validate({"state_dir": state})).load_table("bronze.transactions")
    )
    mib = round(found.bytes / 2**20, 1)
    return {"rows": found.rows, "files": found.files, "mib": mib, "seconds": round(took, 1)}


def main() -> None:
    """Fill a lake, ask it before and after upkeep, print and keep the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--files", type=int, default=300, help="commits that the rows come in")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        size = fill(state, options.rows, options.files)
        before = asked_all(state, options.rows, options.rounds)
        kept = upkeep(state)
        after = asked_all(state, options.rows, options.rounds)
    show("millrace lake upkeep", [size | {"seconds": ""}, kept])
    rows = [{"query": one, "before upkeep": before[one], "after": after[one]} for one in QUERIES]
    show("millrace sql, whole command, seconds", rows)
    result = {**size, "rounds": options.rounds, "seconds": before}
    print(keep("lake_sql", {**result, "upkeep": kept, "seconds_after_upkeep": after}))


if __name__ == "__main__":
    main()

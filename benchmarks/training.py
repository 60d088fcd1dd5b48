"""A training frame of 1.2 million payments: how long it takes, and how much memory.

    python -m benchmarks.training [--quick] [--data PATH]

`--data`: a parquet file with the Fraud Detection Handbook's columns; without it as many payments of
the project's simulator are written to one, which is not measured. Time is from the first byte read
to the frame; memory is the largest sum of what this process and the kernel's hold (resident, so
pages that both share count twice). No stack is needed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.report import keep, show
from config.settings import settings
from ingestion.fraud.columns import table_of
from ingestion.fraud.simulator import simulation
from millrace.stack import batch
from millrace.stack.layout import Layout
from orchestration.fraud.sources import handbook
from orchestration.fraud.train import frame_of
from orchestration.training.kernel import Kernel

ROWS = 1_200_000
_COLUMNS = {
    "transaction_id": "transaction_id",
    "event_time": "tx_datetime",
    "customer_id": "customer_id",
    "terminal_id": "terminal_id",
    "amount": "tx_amount",
    "is_fraud": "tx_fraud",
}


def write(path: Path, rows: int) -> None:
    """Write so many simulated payments, or a day's more, as the handbook does."""
    simulator = simulation(7)
    with pq.ParquetWriter(path, _as_handbook(table_of([])).schema) as file:
        while rows > 0:
            day = table_of(simulator.day())
            file.write_table(_as_handbook(day))
            rows -= len(day)


def _as_handbook(payments: pa.Table) -> pa.Table:
    kinds = {"event_time": pa.timestamp("ms"), "is_fraud": pa.int64()}
    arrays = [
        payments[name].cast(kinds.get(name, payments.schema.field(name).type)) for name in _COLUMNS
    ]
    return pa.table(arrays, names=list(_COLUMNS.values()))


class Memory(threading.Thread):
    """Watches the largest sum of this process's and its children's resident memory."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.ended = 0, threading.Event()

    def run(self) -> None:
        """Look twenty times a second until `ended`."""
        while not self.ended.wait(0.05):
            self.peak = max(self.peak, _resident())


def _resident() -> int:
    total, own = 0, psutil.Process()
    for process in [own, *own.children(recursive=True)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # ended between two looks
    return total


def measure(path: Path) -> dict[str, Any]:
    """Make the frame of a file once."""
    memory = Memory()
    memory.start()
    began, spent = time.monotonic(), _cpu()
    data = handbook(path)
    read = time.monotonic()
    frame = frame_of(data, kernel=Kernel(batch.command(Layout.of(settings()))))
    ended = time.monotonic()
    memory.ended.set()
    memory.join()
    return {
        "source": path.name,
        "rows": len(frame),
        "features": len(frame.features),
        "seconds": round(ended - began, 2),
        "seconds_reading": round(read - began, 2),
        "cpu_seconds": round(_cpu() - spent, 2),
        "peak_mb": round(memory.peak / 1e6),
        "digest": frame.digest(),
    }


def _cpu() -> float:
    """CPU-seconds of this process and of those it has waited for."""
    times = psutil.Process().cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--quick", action="store_true", help="50,000 payments")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows = 50_000 if options.quick else ROWS
    if options.write:
        write(options.write, rows)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.data
        if path is None:
            path = Path(folder) / "simulated.parquet"
            # In a process of its own, whose memory goes with it.
            line = [sys.executable, "-m", "benchmarks.training", "--write", str(path)]
            subprocess.run([*line, *(["--quick"] if options.quick else [])], check=True)
        result = measure(path)
    show("a training frame", [{k: v for k, v in result.items() if k != "digest"}])
    print(keep("training-quick" if options.quick else "training", result))


if __name__ == "__main__":
    main()
